#pragma once

#include "experiments/relational_control/control_stage.hpp"
#include "experiments/relational_control/univariate/univariate_null.hpp"
#include "experiments/relational_control/univariate/univariate_selection.hpp"

namespace twinscreen {

/// Do the chosen images control a subject that they were not chosen on (Gifford et al. 2024)? One
/// item for each pair and test subject: effects against the baseline set, permutation tests,
/// corrected within the subject; then over subjects: means with intervals and a binomial test.
class UnivariateStatistics final : public ControlStage {
public:
    static constexpr const char* stage_name = "univariate_statistics";

    UnivariateStatistics(const ControlSettings& settings, const Study& study)
        : settings_(*settings.univariate), study_(study)
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
    /// One pair on one test subject.
    struct Case {
        std::size_t pair = 0;
        std::size_t fold = 0;
        std::size_t subject = 0;
    };
    Case case_of(std::uint64_t item) const;
    Table describe(ItemRange items) const;
    std::vector<float> responses_of(const Case& one) const;

    const UnivariateSettings& settings_;
    const Study& study_;
    MeanResponses responses_;
    UnivariateBaselineSets baseline_;
    std::vector<ControllingSets> sets_;  ///< [pairs * folds]
};

}  // namespace twinscreen
