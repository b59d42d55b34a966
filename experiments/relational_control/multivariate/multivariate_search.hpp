#pragma once

#include "experiments/relational_control/control_stage.hpp"
#include "experiments/relational_control/multivariate/agreement.hpp"
#include "experiments/relational_control/multivariate/multivariate_baseline.hpp"
#include "experiments/relational_control/search/set_search.hpp"
#include "experiments/relational_control/session/session_export.hpp"
#include "experiments/relational_control/set_sheet.hpp"

namespace twinscreen {

inline constexpr std::array<Objective, 2> objectives{Objective::align, Objective::disentangle};
inline constexpr std::array<const char*, 2> objective_names{"align", "disentangle"};
Table objective_table();

/// Sets of images about which two areas agree most (align) or not at all (disentangle), searched
/// for every pair and fold (Gifford et al. 2024). One chain an item; a killed chain goes on from
/// its last saved generation.
///
/// /columns/score       f64 [chain, generation]          agreement of the best set, training
/// subjects /columns/test_score  f64 [chain, generation]          the same set in the test subject
/// /columns/image       i32 [chain, generation, member]  the best set
/// /summary/...         the last generation [pair, fold, objective]
class MultivariateSearch final : public ControlStage {
public:
    static constexpr const char* stage_name = "multivariate_search";

    MultivariateSearch(const ControlSettings& settings, const Study& study, Agreement& agreement)
        : settings_(*settings.multivariate),
          session_(settings.session),
          study_(study),
          agreement_(agreement)
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
        std::size_t fold = 0;
        std::size_t objective = 0;
    };
    Chain chain_of(std::uint64_t item) const;
    std::uint64_t chains() const
    {
        return study_.pairs.size() * study_.folds.size() * objectives.size();
    }
    Table describe(ItemRange items) const;

    const MultivariateSettings& settings_;
    const std::optional<SessionSettings>& session_;
    const Study& study_;
    Agreement& agreement_;
    std::vector<ShownSet> shown_sets(const StageResults& results) const;

    MultivariateBaselineSets baseline_;
};

/// Images of the set found for one pair, fold and objective, ascending.
std::vector<std::uint32_t> read_found_set(const StageHistory& history, const Study& study,
                                          std::size_t pair, std::size_t fold,
                                          std::size_t objective);
/// Test agreement of the found sets [pairs, folds, objectives]; NaN without a test subject.
std::vector<double> read_found_test_scores(const StageHistory& history);

}  // namespace twinscreen
