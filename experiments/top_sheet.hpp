#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "engine/run/experiment.hpp"

namespace twinscreen {

/// Draws the stimuli that drive each area most and least into FOLDER/top_stimuli.png and returns
/// lines for the closing summary. Does nothing where the stage has no column area_top_item. Rank 0.
///
/// areas  the area table of the stage: twin, subject, area
std::vector<std::string> write_top_sheet(const StageResults& results,
                                         const std::vector<ColumnSpec>& columns, const Table& areas,
                                         const CampaignInputs& inputs,
                                         const std::filesystem::path& folder);

}  // namespace twinscreen
