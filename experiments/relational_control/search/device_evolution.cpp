#include "experiments/relational_control/search/device_evolution.hpp"

namespace twinscreen {
namespace {

/// Random sets that are drawn and scored together: enough to fill a GPU, at 250 bytes for a set of
/// 50; larger sets are fewer.
constexpr std::int64_t most_random_ids = std::int64_t{131'072} * 50;
constexpr std::int64_t most_drawn_at_once = 16'384;

std::uint32_t generations_that_pay(std::int64_t random, std::uint32_t set_size)
{
    return static_cast<std::uint32_t>(
        std::max<std::int64_t>(most_random_ids / set_size / random, 1));
}

}  // namespace

DeviceEvolution::DeviceEvolution(const SearchSettings& settings, std::uint32_t items,
                                 DevicePairs& pairs)
    : settings_(settings),
      pairs_(pairs),
      executor_(pairs.executor()),
      draws_{settings.seed, settings.chain, items},
      parents_(settings.population),
      aligns_(settings.objective == Objective::align)
{
    const std::vector<std::uint32_t> sizes =
        mutation_sizes(settings.set_size, settings.mutated_shares);
    mutants_ = parents_ * static_cast<std::int64_t>(sizes.size());
    random_ = parents_ + mutants_;
    at_once_ = std::min(generations_that_pay(random_, settings.set_size),
                        std::max(settings.generations, 1U));
    sizes_ = uploaded(std::span<const std::uint32_t>(sizes), executor_);
    start_ = make_generation(ExecutorMemory::Place::device);
    current_ = make_generation(ExecutorMemory::Place::device);
    next_ = make_generation(ExecutorMemory::Place::device);
    on_host_ = make_generation(ExecutorMemory::Place::pinned);
    mutant_ids_ = {executor_, mutants_ * settings.set_size};
    const std::int64_t random = random_ * at_once_;
    random_ids_ = {executor_, random * settings.set_size};
    random_scores_ = {executor_, random};
    random_costs_ = {executor_, random};
    scratch_ = {executor_, std::int64_t{settings.set_size} *
                               std::max(3 * mutants_, 2 * std::min(random, most_drawn_at_once))};
    before_ = {executor_, rank_parts * (parents_ + mutants_ + random_)};
    members_ = {executor_, parents_};
    trace_ = make_trace(ExecutorMemory::Place::device);
    told_ = make_trace(ExecutorMemory::Place::pinned);
}

DeviceEvolution::Generation DeviceEvolution::make_generation(ExecutorMemory::Place place) const
{
    return {{executor_, parents_ * settings_.set_size, place},
            {executor_, parents_ + mutants_, place},
            {executor_, parents_ + mutants_, place}};
}

DeviceEvolution::Trace DeviceEvolution::make_trace(ExecutorMemory::Place place) const
{
    return {{executor_, std::int64_t{at_once_} * settings_.set_size, place},
            {executor_, at_once_, place},
            {executor_, at_once_, place}};
}

void DeviceEvolution::copy_parents(const Generation& from, const Generation& to) const
{
    executor_.copy(to.ids.first(to.ids.count()), from.ids.first(from.ids.count()));
    executor_.copy(to.scores.first(parents_), from.scores.first(parents_));
    executor_.copy(to.costs.first(parents_), from.costs.first(parents_));
}

void DeviceEvolution::begin(const ScoredSets& parents, std::uint32_t generation)
{
    const std::size_t size = settings_.set_size, count = settings_.population;
    for (std::size_t set = 0; set < count; ++set) {
        for (std::size_t position = 0; position < size; ++position)
            on_host_.ids.data()[position * count + set] = parents.ids[set * size + position];
        on_host_.scores.data()[set] = parents.scores[set];
        on_host_.costs.data()[set] = search_cost(aligns_, parents.scores[set]);
    }
    copy_parents(on_host_, current_);
    executor_.synchronize();
    generation_ = generation;
    count_ = 0;
}

void DeviceEvolution::look(std::uint32_t count)
{
    generation_ += count_;
    count_ = count;
    copy_parents(current_, start_);
    score_random_sets();
    evolve(0, count);
    executor_.copy(told_.best_ids.first(std::int64_t{count} * settings_.set_size),
                   trace_.best_ids.first(std::int64_t{count} * settings_.set_size));
    executor_.copy(told_.best_scores.first(count), trace_.best_scores.first(count));
    executor_.copy(told_.worst_costs.first(count), trace_.worst_costs.first(count));
    executor_.synchronize();
}

void DeviceEvolution::score_random_sets()
{
    const std::int64_t sets = random_ * count_;
    const SetColumns all{random_ids_.data(), sets, sets, settings_.set_size};
    for (std::int64_t first = 0; first < sets; first += most_drawn_at_once)
        draw_random_sets(draws_, {generation_ + 1, random_, first},
                         all.part(first, std::min(most_drawn_at_once, sets - first)),
                         scratch_.data(), executor_);
    pairs_.score_sets(all, aligns_, {random_scores_.data(), random_costs_.data()});
}

void DeviceEvolution::evolve(std::uint32_t first, std::uint32_t end)
{
    for (std::uint32_t at = first; at < end; ++at) evolve_one(at);
}

SetColumns DeviceEvolution::parents(const Generation& of) const
{
    return {of.ids.data(), parents_, parents_, settings_.set_size};
}

void DeviceEvolution::evolve_one(std::uint32_t at)
{
    const std::uint32_t size = settings_.set_size;
    const SetColumns mutants{mutant_ids_.data(), mutants_, mutants_, size};
    mutate(draws_, generation_ + at + 1, parents(current_), sizes_.data(), mutants, scratch_.data(),
           executor_);
    pairs_.score_sets(mutants, aligns_, current_.reached().from(parents_));

    const std::int64_t first = at * random_;
    const SetColumns random{random_ids_.data() + first, random_ * count_, random_, size};
    const SetCosts at_random{random_scores_.data() + first, random_costs_.data() + first};
    const Pool pool{parents(current_), mutants, random, current_.reached(), at_random};
    const Survivors survivors{parents(next_), next_.reached(),
                              trace_.best_ids.data() + std::int64_t{at} * size,
                              trace_.best_scores.data() + at, trace_.worst_costs.data() + at};
    select_survivors(pool, generation_ + at > 0, {before_.data(), members_.data()}, survivors,
                     executor_);
    std::swap(current_, next_);
}

DeviceEvolution::Best DeviceEvolution::best(std::uint32_t at) const
{
    return {
        told_.best_ids.values().subspan(std::size_t{at} * settings_.set_size, settings_.set_size),
        told_.best_scores.values()[at], told_.worst_costs.values()[at]};
}

ScoredSets DeviceEvolution::parents_after(std::uint32_t count)
{
    if (count == count_) return downloaded();
    copy_parents(start_, current_);
    evolve(0, count);
    ScoredSets parents = downloaded();
    evolve(count, count_);
    return parents;
}

ScoredSets DeviceEvolution::downloaded() const
{
    copy_parents(current_, on_host_);
    executor_.synchronize();
    const std::size_t size = settings_.set_size, count = settings_.population;
    ScoredSets parents{std::vector<std::uint32_t>(count * size), std::vector<double>(count)};
    for (std::size_t set = 0; set < count; ++set) {
        for (std::size_t position = 0; position < size; ++position)
            parents.ids[set * size + position] = on_host_.ids.data()[position * count + set];
        parents.scores[set] = on_host_.scores.data()[set];
    }
    return parents;
}

}  // namespace twinscreen
