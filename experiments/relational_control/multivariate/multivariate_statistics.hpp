#pragma once

#include "experiments/relational_control/control_stage.hpp"
#include "experiments/relational_control/multivariate/agreement.hpp"
#include "experiments/relational_control/statistics/permutation_test.hpp"

namespace twinscreen {

/// Agreement about random sets in drawing order, as one test subject sees one pair.
struct DrawnAgreement {
    const float* first = nullptr;  ///< values lie `stride` apart
    std::size_t stride = 1;

    double at(std::uint64_t draw) const { return static_cast<double>(first[draw * stride]); }
};

/// Test of an effect (agreement of a found set minus that of the baseline set) against differences
/// between parts of the random sets, of `permutations` each. As published, both objectives share
/// the first part as baseline; corrected, each has a part of its own.
PermutationTest test_against_draws(const DrawnAgreement& drawn, std::uint64_t permutations,
                                   Objective objective, double effect, Compat compat);

/// Do the found sets align or disentangle two areas of a subject that they were not chosen on
/// (Gifford et al. 2024)? One item for each pair and test subject: agreement against the baseline
/// set, tested against differences between random sets, corrected within the subject; then over
/// subjects: means with intervals and a binomial test.
class MultivariateStatistics final : public ControlStage {
public:
    static constexpr const char* stage_name = "multivariate_statistics";

    MultivariateStatistics(const ControlSettings& settings, const Study& study,
                           const SimilarityViews& views)
        : settings_(*settings.multivariate), compat_(settings.compat), study_(study), views_(views)
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
    struct Case {
        std::size_t pair = 0;
        std::size_t fold = 0;
    };
    Case case_of(std::uint64_t item) const;
    Table describe(ItemRange items) const;
    std::vector<std::string> changed_verdicts(const StageResults& results) const;
    /// Test of one objective's effect against the nulls of the test subject.
    PermutationTest test(const Case& one, std::size_t objective, double effect,
                         Compat compat) const;

    const MultivariateSettings& settings_;
    Compat compat_;
    const Study& study_;
    const SimilarityViews& views_;
    const float* nulls_ = nullptr;  ///< [draws, views, pairs] agreement of random sets
    std::vector<double> found_;     ///< [pairs, folds, objectives] agreement in the test subject
    std::vector<double> baseline_;  ///< [pairs, folds] the same
};

}  // namespace twinscreen
