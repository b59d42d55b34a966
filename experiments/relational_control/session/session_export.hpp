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

/// What differs between sessions of mean responses and of similarities.
struct SessionKind {
    const char* folder;         ///< in the store's folder
    std::uint32_t item;         ///< tells their orders of trials apart
    std::uint32_t repetitions;  ///< where the campaign names none, as published
    std::uint32_t runs;
};
inline constexpr SessionKind univariate_session{"session_univariate", 0, 6, 10};
inline constexpr SessionKind multivariate_session{"session_multivariate", 1, 8, 12};

/// Writes what an experiment on people or animals needs into a folder: the pictures of all sets as
/// PNG files 001.png, 002.png, ... of one size and luminance; images.csv, which set and stimulus
/// each is; trials.csv, the order of trials. Returns lines for people; none without stimuli.
std::vector<std::string> write_session(const std::vector<SessionSet>& sets,
                                       const SessionSettings& settings, const SessionKind& kind,
                                       const CampaignInputs& inputs,
                                       const std::filesystem::path& store_folder);

}  // namespace twinscreen
