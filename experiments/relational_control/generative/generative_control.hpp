#pragma once

#include <memory>

#include "experiments/relational_control/control_stage.hpp"
#include "experiments/relational_control/generative/evolution_chain.hpp"
#include "experiments/relational_control/generative/generative_settings.hpp"
#include "experiments/relational_control/generative/pair_responses.hpp"
#include "experiments/relational_control/study/study.hpp"
#include "experiments/relational_control/univariate/univariate_baseline.hpp"

namespace twinscreen {

/// Complains of settings that do not fit the campaign: no twins, no baseline, covariates by image.
void check_generative(ConfigSection& section, const ControlSettings& settings,
                      const CampaignInputs& inputs);

/// Pictures, evolved to be as simple as they can be and still drive the two areas of a pair as each
/// of four conditions wants (Gifford, Jastrzebowska, Singer & Cichy 2024). One chain an item; a
/// killed chain goes on from its last saved generation.
///
/// Columns of items hold the best picture so far, by generation: of the training subjects, and the
/// same picture in the test subject, whose thresholds lie beyond its own baseline. /summary has
/// means over evolutions with bootstrap intervals.
class GenerativeControl final : public ControlStage {
public:
    static constexpr const char* stage_name = "generative_control";

    GenerativeControl(const ControlSettings& settings, const Study& study,
                      const CampaignInputs& inputs);

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
        std::size_t condition = 0;
        std::size_t evolution = 0;
    };
    Chain chain_of(std::uint64_t item) const;
    std::uint64_t cells() const
    {
        return study_.pairs.size() * study_.folds.size() * control_conditions;
    }
    std::uint64_t chains() const { return cells() * settings_.evolutions; }
    void read_units(const StageHistory& history);
    ChainGoal goal_of(const Chain& chain) const;
    PairResponses& responses_of(std::size_t pair);
    Table describe(ItemRange items) const;
    std::vector<ColumnSpec> item_columns() const;
    std::vector<ColumnSpec> summary_columns() const;
    std::string draw_sheet(const StageResults&, const std::filesystem::path& folder) const;

    const GenerativeSettings& settings_;
    const Study& study_;
    Compat compat_;
    std::shared_ptr<ImageGenerator> generator_;
    UnivariateBaselineSets baseline_;
    bool is_standardised_;
    std::vector<double> train_units_;  // [folds, areas] of mean responses
    std::vector<double> test_units_;   // [folds, areas] 1 without a test subject
    std::uint64_t seed_ = 0;
    std::span<const Twin> twins_;
    std::span<const TwinCovariates> covariates_;
    std::unique_ptr<PairResponses> responses_;  // of the pair that was asked for last
    std::size_t responding_pair_ = 0;
};

}  // namespace twinscreen
