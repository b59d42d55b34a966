#include "experiments/relational_control/multivariate/search_chain.hpp"

#include <algorithm>
#include <array>
#include <limits>

#include "experiments/relational_control/search/search_state.hpp"

namespace twinscreen {
namespace {

std::vector<std::byte> state_of(const SetSearch& search, const Trajectory& trajectory)
{
    const std::vector<std::byte> searched = search.save();
    StateWriter state;
    state.add(trajectory.scores.size());
    state.add(trajectory.images.size());
    state.add(searched.size());
    state.add(trajectory.scores);
    state.add(trajectory.test_scores);
    state.add(trajectory.images);
    state.add(searched);
    return state.bytes();
}

void go_on_from(const std::vector<std::byte>& bytes, SetSearch& search, Trajectory& trajectory)
{
    if (bytes.empty()) return;
    StateReader state(bytes);
    std::size_t generations = 0, images = 0, size = 0;
    state.take(generations);
    state.take(images);
    state.take(size);
    TWINSCREEN_REQUIRE(std::max({generations, images, size}) <= bytes.size(), store,
                       "the saved search has {} generations in {} bytes", generations,
                       bytes.size());
    trajectory.scores.resize(generations);
    trajectory.test_scores.resize(generations);
    trajectory.images.resize(images);
    std::vector<std::byte> searched(size);
    state.take(trajectory.scores);
    state.take(trajectory.test_scores);
    state.take(trajectory.images);
    state.take(searched);
    search.load(searched);
}

/// Null: the search runs on the processor, as all but the genetic one do on any executor.
DevicePairs* pairs_for(const SearchSettings& settings, const ChainViews& views,
                       const Agreement& agreement, Executor& executor)
{
    if (settings.method != SearchMethod::genetic || !executor.wants_whole_batches()) return nullptr;
    return agreement.on(executor, views.train, views.pair);
}

std::unique_ptr<SetSearch> search_on(const SearchSettings& settings, PairSimilarity& similarity,
                                     DevicePairs* pairs)
{
    return pairs == nullptr ? make_search(settings, similarity)
                            : make_search_on(settings, similarity, *pairs);
}

}  // namespace

Trajectory run_search_chain(const SearchSettings& settings, const ChainViews& views,
                            const Agreement& agreement, ShardScratch& scratch, Executor& executor)
{
    const auto trained = agreement.of(views.train, views.pair);
    const auto tested = agreement.of(views.test.value_or(views.train), views.pair);
    const auto search =
        search_on(settings, *trained, pairs_for(settings, views, agreement, executor));
    Trajectory found;
    go_on_from(scratch.load(), *search, found);

    std::vector<std::int32_t> last;
    if (!found.scores.empty())
        last.assign(found.images.end() - static_cast<std::ptrdiff_t>(settings.set_size),
                    found.images.end());
    while (found.scores.size() < settings.generations) {
        search->step();
        std::vector<std::int32_t> images;
        for (const std::uint32_t item : search->best_ids())
            images.push_back(static_cast<std::int32_t>(agreement.image(item)));
        std::array<double, 1> test{std::numeric_limits<double>::quiet_NaN()};
        if (images == last)
            test[0] = found.test_scores.back();
        else if (views.test)
            tested->score_sets(search->best_ids(), settings.set_size, test);
        found.scores.push_back(search->best_score());
        found.test_scores.push_back(test[0]);
        found.images.insert(found.images.end(), images.begin(), images.end());
        last = std::move(images);
        scratch.save_if_due([&] { return state_of(*search, found); });
    }
    return found;
}

}  // namespace twinscreen
