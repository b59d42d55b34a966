#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "engine/run/experiment.hpp"
#include "experiments/relational_control/session/trial_table.hpp"
#include "experiments/relational_control/study/session_settings.hpp"

namespace twinscreen {

/// One condition of a session: "both_high", "baseline V1".
struct SessionSet {
    std::string name;
    std::vector<std::uint32_t> images;  ///< items of the campaign's stimuli
};

/// Writes what an experiment on people or animals needs into a folder: the pictures of all sets as
/// PNG files 001.png, 002.png, ... of one size and luminance; images.csv, which set and stimulus
/// each is; trials.csv, the order of trials. Returns lines for people; none without stimuli.
///
/// plan  images is set here
std::vector<std::string> write_session(const std::vector<SessionSet>& sets,
                                       const SessionSettings& settings, TrialPlan plan,
                                       const CampaignInputs& inputs, std::uint32_t item,
                                       const std::filesystem::path& folder);

}  // namespace twinscreen
