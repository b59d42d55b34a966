#pragma once

#include "experiments/relational_control/control_stage.hpp"
#include "experiments/relational_control/responses/response_table.hpp"

namespace twinscreen {

/// Mean responses to random sets of images: how a set behaves that nobody chose (Gifford et al.
/// 2024). The same sets serve every area and every fold.
///
/// /columns/mean_response  f32 [draw, population]  mean over the set
/// /summary/baseline_*     the drawn set whose training response is nearest to the mean over all
class UnivariateBaseline final : public ControlStage {
public:
    static constexpr const char* stage_name = "univariate_baseline";

    UnivariateBaseline(const ControlSettings& settings, const Study& study)
        : settings_(*settings.univariate), study_(study)
    {
    }

    std::string name() const override { return stage_name; }
    StagePlan plan(const CampaignInputs&, const StageHistory&) override;
    void run(const Shard&, ShardTools&) override;
    SummaryRows combine(const StageResults&) override;
    std::string outlook() const override;

private:
    SummaryRows summarise(const StageResults&, const std::vector<double>& mean,
                          const std::vector<std::uint64_t>& nearest) const;

    const UnivariateSettings& settings_;
    const Study& study_;
    MeanResponses responses_;
    std::uint64_t seed_ = 0;
};

/// What the baseline left for later stages.
struct UnivariateBaselineSets {
    std::vector<std::uint32_t> images;  ///< [folds, areas, images of a set]
    std::vector<double> train;          ///< [folds, areas] mean training response
    std::vector<double> test;           ///< [folds, areas] of the test subject; NaN without one
    std::size_t areas = 0;

    std::span<const std::uint32_t> of(std::size_t fold, std::size_t area) const
    {
        const std::size_t size = images.size() / train.size();
        return std::span(images).subspan((fold * areas + area) * size, size);
    }
};
UnivariateBaselineSets read_univariate_baseline(const Study& study, const StageHistory& history);

}  // namespace twinscreen
