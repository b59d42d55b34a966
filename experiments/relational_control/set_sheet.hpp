#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "engine/run/experiment.hpp"

namespace twinscreen {

/// One set of images for a sheet.
struct ShownSet {
    std::string label;                  ///< "V1 - hV4\nalign"
    std::vector<std::uint32_t> images;  ///< in the order shown
};

/// A contact sheet of the sets, 25 pictures a row and at most 40 rows; returns a line that names
/// it, or nothing for a campaign without stimuli. Each picture is captioned with its number.
std::vector<std::string> write_set_sheet(const std::vector<ShownSet>& sets,
                                         const std::string& title, const CampaignInputs& inputs,
                                         const std::filesystem::path& file);

}  // namespace twinscreen
