#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "experiments/relational_control/univariate/conditions.hpp"

namespace twinscreen {

/// Which pictures of a session belong together: images.csv as the session was written.
struct SessionDesign {
    /// Pictures (from 0) that aligned and disentangled similarities, and of their baseline.
    std::array<std::vector<std::uint32_t>, 3> similarity_sets;
    /// Pictures that controlled mean responses, by condition, and of both areas' baselines.
    std::array<std::vector<std::uint32_t>, control_conditions> mean_sets;
    std::array<std::vector<std::uint32_t>, 2> mean_baselines;
    std::array<std::string, 2> areas;  ///< of these baselines; empty where there are none
    std::uint32_t images = 0;

    bool is_univariate() const noexcept { return !mean_baselines[0].empty(); }
};

/// Throws Error(data) for a table that is none, or lacks a set.
SessionDesign read_session_design(const std::filesystem::path& file);

/// Responses of one area of one subject to the trials that showed a picture.
struct AreaTrials {
    std::vector<double> values;  ///< [units, trials]
    std::size_t units = 0;
};

/// What one subject answered.
struct RecordedSession {
    std::vector<std::uint32_t> images;  ///< [trials] picture of each, from 0
    std::array<AreaTrials, 2> areas;
    std::array<std::size_t, 2> recorded_units{};  ///< before those below the ceiling were left out
};

/// Reads single-trial responses [trials, units] of two areas; rows of catch trials (image 0) are
/// left out, and so are units whose signal-to-noise ratio over repeated pictures is not above
/// `ceiling` or that have a NaN. Throws Error(data): files that do not fit each other or the
/// design, no unit left.
///
/// trials  a table with a column `image`, one row for each trial
/// betas   .npy, one for each area
RecordedSession read_recorded_session(const std::filesystem::path& trials,
                                      const std::array<std::filesystem::path, 2>& betas,
                                      const SessionDesign& design, double ceiling);

}  // namespace twinscreen
