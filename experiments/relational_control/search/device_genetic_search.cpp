#include <algorithm>
#include <memory>

#include "experiments/relational_control/search/device_evolution.hpp"

namespace twinscreen {
namespace {

/// The genetic search where an executor works: set by set, score by score and state by state that
/// on the host. Generations are looked at ahead and told one by one.
class DeviceGeneticSearch final : public SearchBase {
public:
    DeviceGeneticSearch(const SearchSettings& settings, PairSimilarity& similarity,
                        DevicePairs& pairs)
        : SearchBase(settings, similarity),
          first_(first_sets()),
          evolution_(std::make_unique<DeviceEvolution>(settings, items(), pairs))
    {
        evolution_->begin(first_, 0);
    }

private:
    void look_at_generation() override
    {
        if (told_ == evolution_->looked_at()) look_ahead();
        const DeviceEvolution::Best best = evolution_->best(told_);
        ++told_;
        count_evaluations(sets_per_generation(settings()));
        require_survivors(best.worst_cost);
        offer_best(best.ids, best.score);
    }

    void look_ahead()
    {
        const std::uint32_t planned =
            settings().generations > generation() ? settings().generations - generation() : 1;
        evolution_->look(std::min(planned, evolution_->generations_at_once()));
        told_ = 0;
    }

    void save_rest(StateWriter& state) const override
    {
        const ScoredSets parents =
            told_ == 0 && evolution_->looked_at() == 0 ? first_ : evolution_->parents_after(told_);
        state.add(parents.ids);
        state.add(parents.scores);
    }

    void load_rest(StateReader& state) override
    {
        take_sets(state, first_.ids);
        state.take(first_.scores);
        evolution_->begin(first_, generation());
        told_ = 0;
    }

    ScoredSets first_;  // where the first look begins
    std::unique_ptr<DeviceEvolution> evolution_;
    std::uint32_t told_ = 0;  // of the generations that were looked at
};

}  // namespace

std::unique_ptr<SetSearch> make_search_on(const SearchSettings& settings,
                                          PairSimilarity& similarity, DevicePairs& pairs)
{
    TWINSCREEN_REQUIRE(settings.method == SearchMethod::genetic, internal,
                       "only the genetic search runs on a device");
    return std::make_unique<DeviceGeneticSearch>(settings, similarity, pairs);
}

}  // namespace twinscreen
