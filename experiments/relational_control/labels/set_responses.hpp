#pragma once

#include <array>
#include <vector>

#include "experiments/relational_control/control_stage.hpp"
#include "experiments/relational_control/labels/image_labels.hpp"
#include "experiments/relational_control/labels/label_settings.hpp"
#include "experiments/relational_control/responses/imported_responses.hpp"
#include "experiments/relational_control/study/study.hpp"

namespace twinscreen {

/// Responses, as they are, of all kept units to the images of the two sets of a pair that were
/// found on all subjects: one image an item, the aligning set first. Twins answer to one image at a
/// time: as they did among others, up to rounding. Says which images still wait for a label.
///
/// /columns/response  f32 [image, unit]
class SetResponses final : public ControlStage {
public:
    static constexpr const char* stage_name = "set_responses";
    static constexpr ColumnId response_column{0};

    /// imported  null: the campaign's twins answer
    SetResponses(const ImageLabelSettings& settings, const Study& study,
                 const ImportedResponses* imported, const LabelTable& labels);

    std::string name() const override { return stage_name; }
    StagePlan plan(const CampaignInputs&, const StageHistory&) override;
    ItemRange reads(const Shard& shard) const override;
    void run(const Shard&, ShardTools&) override;
    std::vector<std::string> report(const StageResults&, const CampaignInputs&,
                                    const std::filesystem::path& folder) override;
    std::string outlook() const override;

private:
    Table describe(ItemRange items, const StimulusSource& stimuli) const;

    const ImageLabelSettings& settings_;
    const Study& study_;
    const ImportedResponses* imported_;
    const LabelTable& labels_;
    std::vector<std::size_t> units_;     ///< [columns] rows of the unit table
    std::vector<std::uint32_t> images_;  ///< [items]
};

}  // namespace twinscreen
