#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/run/experiment.hpp"
#include "experiments/fit_readout/feature_sets.hpp"
#include "experiments/fit_readout/fit_moments.hpp"

namespace twinscreen {

/// The stage that computes features: those of the campaign's twins and, behind them, of networks of
/// the same shape that have learned nothing.
class FeatureStage {
public:
    static constexpr const char* name = "features";

    /// untrained  compute the untrained counterparts as well
    /// together   one set of all areas instead of one each
    FeatureStage(const CampaignInputs& inputs, bool untrained, bool together, SharedReads& reads);

    /// Complains of sets that are not whole maps, which factorised readouts want.
    void check_maps(ConfigSection& section) const;
    StagePlan plan(const CampaignInputs& inputs);
    /// Independent.
    void run(const Shard& shard, ShardTools& tools) const;

    const std::vector<FeatureSet>& sets() const noexcept { return sets_; }
    std::size_t features() const noexcept { return feature_count_; }
    /// Of all twins, the untrained ones included.
    std::string digest() const;

    FeatureRows rows(const StageHistory& history) const;
    /// [items] NaN: the picture could not be read.
    OwnedBatch luminance(const StageHistory& history, std::uint64_t items) const;
    /// [items] digests of the pictures as the first network sees them.
    OwnedBatch pictures(const StageHistory& history, std::uint64_t items) const;

private:
    void add_twins(const CampaignInputs& inputs, bool untrained, SharedReads& reads);
    std::optional<MapShape> map_of(const FeatureSet& set) const;

    std::vector<Twin> twins_;
    std::vector<TwinCovariates> covariates_;
    std::vector<std::pair<std::string, std::string>> untrained_;  // name, name of the trained twin
    std::shared_ptr<ForwardPlan> forward_;
    std::vector<FeatureSet> sets_;
    std::size_t feature_count_ = 0;
};

}  // namespace twinscreen
