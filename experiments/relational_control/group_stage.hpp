#pragma once

#include <functional>

#include "experiments/relational_control/control_stage.hpp"
#include "experiments/relational_control/group_analysis.hpp"

namespace twinscreen {

/// Analyses of groups of pairs (cortical distance, categories) on every test subject, tested
/// against permuted labels; then over subjects (Gifford et al. 2024). One item for each analysis
/// and test subject; rows are conditions or objectives.
class GroupStage : public ControlStage {
public:
    std::string name() const final { return name_; }
    StagePlan plan(const CampaignInputs&, const StageHistory&) final;
    void run(const Shard&, ShardTools&) final;
    SummaryRows combine(const StageResults&) final;
    std::vector<std::string> report(const StageResults&, const CampaignInputs&,
                                    const std::filesystem::path& folder) final;
    std::string outlook() const final;

protected:
    /// One analysis on one test subject.
    struct Case {
        const GroupAnalysis* analysis = nullptr;
        std::size_t fold = 0;
        std::uint32_t item = 0;  ///< addresses the draws
        std::uint64_t seed = 0;
        std::function<void()> check_stop;
    };

    /// family  rows that are corrected together; those behind stand alone
    GroupStage(const ControlSettings& settings, const Study& study,
               const std::vector<GroupAnalysis>& analyses, std::string name,
               std::vector<std::string> rows, std::size_t family);

    virtual void open(const StageHistory& history) = 0;
    virtual std::uint64_t permutations() const = 0;
    /// [rows]
    virtual std::vector<TrendTests> test(const Case& one) const = 0;

    const ControlSettings& settings() const { return settings_; }
    const Study& study() const { return study_; }

private:
    std::size_t group_count() const { return most_groups(analyses_); }
    Table row_table() const { return {{{"name", "", rows_}}}; }
    Table describe(ItemRange items) const;

    const ControlSettings& settings_;
    const Study& study_;
    const std::vector<GroupAnalysis>& analyses_;
    std::string name_;
    std::vector<std::string> rows_;
    std::size_t family_;
};

/// Of the mean responses: how far controlling sets drive areas from their baselines, in four
/// conditions, and how areas correlate over all images.
std::unique_ptr<ControlStage> make_univariate_groups(const ControlSettings& settings,
                                                     const Study& study,
                                                     const std::vector<GroupAnalysis>& analyses);

struct SimilarityViews;
/// Of agreement: of the aligning, the disentangling and the baseline sets.
std::unique_ptr<ControlStage> make_multivariate_groups(const ControlSettings& settings,
                                                       const Study& study,
                                                       const SimilarityViews& views,
                                                       const std::vector<GroupAnalysis>& analyses);

}  // namespace twinscreen
