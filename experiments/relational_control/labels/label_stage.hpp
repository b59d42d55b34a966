#pragma once

#include <vector>

#include "experiments/relational_control/control_stage.hpp"
#include "experiments/relational_control/labels/image_labels.hpp"
#include "experiments/relational_control/labels/label_effects.hpp"
#include "experiments/relational_control/labels/unit_parts.hpp"
#include "experiments/relational_control/study/study.hpp"

namespace twinscreen {

/// What two labels of the images that align a pair say of its areas: similarities within and
/// between labels, and which part of an area answers more to which label (Gifford, Jastrzebowska,
/// Singer & Cichy 2024). One subject an item; then over subjects. It waits until every image of
/// the set has a label.
///
/// /columns/similarity        f32 [subject, objective, area, member, other member]
/// /columns/group_similarity  f64 [subject, area, group]
/// /columns/score, p, ...     f64 [subject, parted area, label]
class LabelStage final : public ControlStage {
public:
    static constexpr const char* stage_name = "image_labels";

    LabelStage(const ControlSettings& settings, const Study& study, const LabelTable& labels,
               const std::vector<AreaParts>& parts)
        : settings_(settings), study_(study), table_(labels), parts_(parts)
    {
    }

    std::string name() const override { return stage_name; }
    bool is_ready(const CampaignInputs&, const StageHistory&) override;
    StagePlan plan(const CampaignInputs&, const StageHistory&) override;
    void run(const Shard&, ShardTools&) override;
    SummaryRows combine(const StageResults&) override;
    std::vector<std::string> report(const StageResults&, const CampaignInputs&,
                                    const std::filesystem::path& folder) override;
    std::string outlook() const override;

private:
    std::size_t area_of(std::size_t side) const;
    std::vector<std::string> group_names() const;
    std::vector<std::size_t> images_labelled(std::size_t label) const;
    std::string labels_text() const;
    void add_axes(StagePlan& stage) const;
    void add_columns(StagePlan& stage) const;
    void write_similarities(std::size_t subject, ShardTools& tools) const;
    void write_part_effects(std::size_t subject, ShardTools& tools) const;
    std::vector<std::string> report_parts(const StageResults& results) const;
    std::vector<std::string> changed_verdicts(const StageResults& results) const;
    std::string draw_similarities(const StageResults& results,
                                  const std::filesystem::path& folder) const;

    const ControlSettings& settings_;
    const Study& study_;
    const LabelTable& table_;
    const std::vector<AreaParts>& parts_;
    std::vector<std::vector<std::uint32_t>> images_;  ///< [objectives][members]
    SetLabels labels_;                                ///< of the aligning images
    std::vector<ImageResponses> responses_;           ///< [objectives]
};

}  // namespace twinscreen
