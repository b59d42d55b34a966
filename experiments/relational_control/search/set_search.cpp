#include "experiments/relational_control/search/set_search.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "experiments/relational_control/search/search_parts.hpp"

namespace twinscreen {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();
constexpr std::uint32_t format = 1;  // of saved searches

/// Nearest whole number, ties to even.
std::uint32_t rounded(double value)
{
    const double down = std::floor(value);
    const double rest = value - down;
    const bool up = rest > 0.5 || (rest == 0.5 && std::fmod(down, 2.0) != 0.0);
    return static_cast<std::uint32_t>(up ? down + 1.0 : down);
}

void check(const SearchSettings& settings, std::uint32_t items)
{
    const std::uint32_t size = settings.set_size;
    TWINSCREEN_REQUIRE(size >= 3 && size <= largest_set, config,
                       "sets of {} images cannot be searched for (3 to {} can)", size, largest_set);
    TWINSCREEN_REQUIRE(size <= items, config,
                       "{} images are too few for sets of {} different ones. Take smaller sets",
                       items, size);
    const auto sizes = mutation_sizes(size, settings.mutated_shares);
    const std::uint32_t exchanged = least_items(settings) - size;
    TWINSCREEN_REQUIRE(exchanged <= items - size, config,
                       "{} images leave {} outside a set of {}, but mutants exchange up to {}. "
                       "Take more images, smaller sets or smaller mutations",
                       items, items - size, size, exchanged);
    TWINSCREEN_REQUIRE(settings.population >= 1 && settings.population <= 100'000 &&
                           sizes.size() <= most_mutants &&
                           sets_per_generation(settings) < most_new_sets,
                       config,
                       "a population of {} sets and {} mutants of each (1 to 100000 and 1 to {}, "
                       "and fewer than {} new sets a generation)",
                       settings.population, sizes.size(), most_mutants, most_new_sets);
    TWINSCREEN_REQUIRE(settings.block >= 1 && settings.block <= 100'000, config,
                       "a block of {} exchanges (1 to 100000)", settings.block);
    TWINSCREEN_REQUIRE(settings.start_temperature >= 0.0 && settings.cooling > 0.0 &&
                           settings.cooling <= 1.0 && settings.stop_below >= 0.0,
                       config,
                       "start temperature {}, cooling {}, stop below {}: the first and the last "
                       "cannot be negative, the second lies above 0 and at most at 1",
                       settings.start_temperature, settings.cooling, settings.stop_below);
}

}  // namespace

std::vector<std::uint32_t> mutation_sizes(std::uint32_t set_size, std::span<const double> shares)
{
    std::vector<std::uint32_t> sizes{1};
    for (const double share : shares) {
        TWINSCREEN_REQUIRE(share > 0.0 && share <= 1.0, config,
                           "a mutation of {} of a set (above 0, at most 1)", share);
        sizes.push_back(std::max(1U, rounded(share * set_size)));
    }
    return sizes;
}

std::uint32_t least_items(const SearchSettings& settings)
{
    if (settings.method != SearchMethod::genetic) return settings.set_size + 1;
    return settings.set_size +
           std::ranges::max(mutation_sizes(settings.set_size, settings.mutated_shares));
}

double cost_of(Objective objective, double score) noexcept
{
    return search_cost(objective == Objective::align, score);
}

std::uint64_t sets_per_generation(const SearchSettings& settings)
{
    const std::uint64_t mutants = 1 + settings.mutated_shares.size();
    return settings.population * (2 * mutants + 1);  // mutants, and as many as them and parents
}

SearchBase::SearchBase(const SearchSettings& settings, PairSimilarity& similarity)
    : settings_(settings), similarity_(similarity), best_score_(nan)
{
    check(settings, similarity.items());
    best_ids_.resize(settings.set_size);
}

DrawAddress SearchBase::draws(DrawStream stream, std::uint32_t generation,
                              std::uint32_t member) const
{
    return set_address(settings_.seed, stream, settings_.chain, generation, member);
}

ScoredSets SearchBase::first_sets()
{
    ScoredSets first{
        std::vector<std::uint32_t>(std::size_t{settings_.population} * settings_.set_size),
        std::vector<double>(settings_.population)};
    draw_sets(set_address(settings_.seed, DrawStream::population, 0, 0, 0), items(),
              settings_.set_size, first.ids);
    similarity_.score_sets(first.ids, settings_.set_size, first.scores);
    count_evaluations(first.scores.size());
    std::size_t best = 0;
    for (std::size_t set = 1; set < first.scores.size(); ++set)
        if (cost(first.scores[set]) < cost(first.scores[best])) best = set;
    TWINSCREEN_REQUIRE(!std::isnan(first.scores[best]), data,
                       "none of the first {} sets has a score (similarities are NaN, or all the "
                       "same in one area). Leave out images without responses",
                       first.scores.size());
    offer_best(std::span(first.ids).subspan(best * settings_.set_size, settings_.set_size),
               first.scores[best]);
    return first;
}

void SearchBase::require_survivors(double worst_cost) const
{
    TWINSCREEN_REQUIRE(std::isfinite(worst_cost), data,
                       "fewer than {} of {} sets have a score (similarities are NaN, or all "
                       "the same in one area). Leave out images without responses",
                       settings_.population, settings_.population + sets_per_generation(settings_));
}

void SearchBase::offer_best(std::span<const std::uint32_t> ids, double score)
{
    if (!(cost(score) < cost(best_score_))) return;
    best_ids_.assign(ids.begin(), ids.end());
    best_score_ = score;
}

bool SearchBase::is_done() const noexcept
{
    return settings_.objective == Objective::disentangle &&
           cost(best_score_) < settings_.stop_below;
}

void SearchBase::take_sets(StateReader& state, std::vector<std::uint32_t>& ids) const
{
    state.take(ids);
    for (std::size_t at = 0; at < ids.size(); ++at) {
        const bool is_first = at % settings_.set_size == 0;
        TWINSCREEN_REQUIRE(ids[at] < items() && (is_first || ids[at - 1] < ids[at]), store,
                           "the saved search has a set with image {} of {}, which is no ascending "
                           "set of them",
                           ids[at], items());
    }
}

void SearchBase::step()
{
    if (!is_done()) look_at_generation();
    ++generation_;
}

std::vector<std::byte> SearchBase::fingerprint() const
{
    StateWriter state;
    state.add(format);
    state.add(settings_.method);
    state.add(settings_.objective);
    state.add(settings_.seed);
    state.add(settings_.chain);
    state.add(items());
    state.add(settings_.set_size);
    state.add(settings_.population);
    state.add(settings_.mutated_shares);
    state.add(settings_.block);
    state.add(settings_.start_temperature);
    state.add(settings_.cooling);
    state.add(settings_.stop_below);
    return state.bytes();
}

std::vector<std::byte> SearchBase::save() const
{
    StateWriter state;
    state.add(fingerprint());
    state.add(generation_);
    state.add(evaluations_);
    state.add(best_ids_);
    state.add(best_score_);
    save_rest(state);
    return state.bytes();
}

void SearchBase::load(std::span<const std::byte> bytes)
{
    StateReader state(bytes);
    const std::vector<std::byte> expected = fingerprint();
    std::vector<std::byte> found(expected.size());
    state.take(found);
    TWINSCREEN_REQUIRE(found == expected, store,
                       "the saved search has other settings, or its images are of another number");
    state.take(generation_);
    state.take(evaluations_);
    take_sets(state, best_ids_);
    state.take(best_score_);
    load_rest(state);
    TWINSCREEN_REQUIRE(state.is_empty(), store, "the saved search goes on after its end");
}

std::unique_ptr<SetSearch> make_search(const SearchSettings& settings, PairSimilarity& similarity)
{
    switch (settings.method) {
        case SearchMethod::genetic: return make_genetic_search(settings, similarity);
        case SearchMethod::greedy: return make_greedy_search(settings, similarity);
        case SearchMethod::exchange: return make_exchange_search(settings, similarity);
        case SearchMethod::annealing: return make_annealing_search(settings, similarity);
    }
    return nullptr;
}

}  // namespace twinscreen
