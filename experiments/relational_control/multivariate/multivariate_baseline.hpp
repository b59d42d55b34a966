#pragma once

#include "experiments/relational_control/control_stage.hpp"
#include "experiments/relational_control/multivariate/agreement.hpp"

namespace twinscreen {

/// Agreement of every pair of areas about random sets of images, through every view: the null
/// distribution, and the random set that stands for it (Gifford et al. 2024). The same sets serve
/// all pairs and folds.
///
/// /columns/agreement    f32 [draw, view, pair]  RSA of the set, in drawing order
/// /summary/baseline_*   the set whose training agreement is nearest to the mean over all
class MultivariateBaseline final : public ControlStage {
public:
    static constexpr const char* stage_name = "multivariate_baseline";

    MultivariateBaseline(const ControlSettings& settings, const Study& study, Agreement& agreement)
        : settings_(*settings.multivariate), study_(study), agreement_(agreement)
    {
    }

    std::string name() const override { return stage_name; }
    StagePlan plan(const CampaignInputs&, const StageHistory&) override;
    void run(const Shard&, ShardTools&) override;
    SummaryRows combine(const StageResults&) override;
    std::string outlook() const override;

private:
    std::size_t views() const { return agreement_.views().views.size(); }
    std::vector<std::uint32_t> draw(std::uint64_t first, std::uint64_t count) const;
    /// Rows of agreements [views, pairs], draw after draw.
    template <class Visit>
    void each_draw(const StageResults& results, const Visit& visit) const;

    const MultivariateSettings& settings_;
    const Study& study_;
    Agreement& agreement_;
    std::uint64_t seed_ = 0;
};

/// What the baseline left for later stages.
struct MultivariateBaselineSets {
    std::vector<std::uint32_t> images;  ///< [pairs, folds, images of a set]
    std::vector<double> train;          ///< [pairs, folds]
    std::vector<double> test;           ///< [pairs, folds] NaN without a test subject
};
/// Agreement about the random sets [draws, views, pairs]; valid until the history is closed.
const float* read_null_agreement(const StageHistory& history);

MultivariateBaselineSets read_multivariate_baseline(const StageHistory& history);

}  // namespace twinscreen
