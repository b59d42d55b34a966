#pragma once

#include "experiments/relational_control/control_stage.hpp"
#include "experiments/relational_control/multivariate/agreement.hpp"
#include "experiments/relational_control/study/control_settings.hpp"

namespace twinscreen {

/// Which search finds the better set when all look at the same number of sets: every optimiser on
/// every pair, for the mean over all subjects. That of the campaign finds what `MultivariateSearch`
/// found.
///
/// /columns/score        f64 [chain, generation]  agreement of the best set so far
/// /summary/found_image  i64 [pair, objective, optimiser, member]
/// /summary/found_score  f64 [pair, objective, optimiser]
/// /summary/best         i64 [pair, objective]    number of the optimiser with the best set
class OptimiserComparison final : public ControlStage {
public:
    static constexpr const char* stage_name = "optimisers";

    OptimiserComparison(const ControlSettings& settings, const Study& study, Agreement& agreement)
        : settings_(*settings.multivariate), study_(study), agreement_(agreement)
    {
    }

    std::string name() const override { return stage_name; }
    StagePlan plan(const CampaignInputs&, const StageHistory&) override;
    void run(const Shard&, ShardTools&) override;
    SummaryRows combine(const StageResults&) override;
    std::vector<std::string> report(const StageResults&, const CampaignInputs&,
                                    const std::filesystem::path& folder) override;
    std::string outlook() const override;

private:
    struct Chain {
        std::size_t pair = 0;
        std::size_t objective = 0;
        std::size_t optimiser = 0;
    };
    static Chain chain_of(std::uint64_t item);
    std::uint64_t chains() const;
    Table describe(ItemRange items) const;

    const MultivariateSettings& settings_;
    const Study& study_;
    Agreement& agreement_;
};

}  // namespace twinscreen
