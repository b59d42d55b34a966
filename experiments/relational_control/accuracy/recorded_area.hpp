#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "experiments/relational_control/statistics/noise_analysis.hpp"

namespace twinscreen {

/// Responses of a model.
struct Predictions {
    std::string name;  ///< for messages: a file, "the twins"
    std::uint32_t images = 0;
    std::uint32_t answered = 0;  ///< the first images: trials of the others are left out
    std::size_t units = 0;
    std::vector<double> values;  ///< [images, units]
    std::string digest;          ///< of a file, or of what the twins are asked for
};

/// Reads [images, units] of a .npy file, or a dataset of an HDF5 file. Throws Error(data).
Predictions read_predictions(const std::filesystem::path& path, const std::string& dataset);

/// Files of one area of one subject, or of a part of it (FFA-1).
struct AreaFiles {
    std::filesystem::path measured;       ///< .npy [images, repeats, units] or [trials, units]
    std::filesystem::path image;          ///< which image each trial showed; empty: three axes
    std::filesystem::path noise_ceiling;  ///< .npy [units]; empty: computed from the trials
    double ceiling_above = 0.5;           ///< units with a larger ratio are kept
};

/// Measured and predicted responses of the kept units of an area.
struct RecordedArea {
    std::vector<std::uint32_t> image;  ///< [trials] from 0
    std::uint32_t images = 0;          ///< of the predictions; some may never have been shown
    std::size_t units = 0;             ///< kept: above the ceiling and without a NaN
    std::size_t recorded_units = 0;
    std::vector<float> measured;   ///< [trials, units]
    std::vector<float> predicted;  ///< [images, units]
    std::vector<float> snr;        ///< [units] signal-to-noise ratio of single trials
    std::string digest;            ///< of all that was read
};

/// One part of an area, with all its units.
struct AreaPart {
    std::vector<std::uint32_t> image;  ///< [trials] those that were recorded
    std::uint32_t images = 0;
    std::size_t units = 0;
    double ceiling_above = 0.5;
    std::vector<double> measured;   ///< [units, trials]
    std::vector<double> predicted;  ///< [images, units]
    std::vector<double> snr;        ///< [units] NaN where unknown
    std::string digest;
};

/// Reads the files of one part. A trial whose every unit is NaN, or whose image is -1, was not
/// recorded. Throws Error(data) for files that do not fit each other, infinite responses, and
/// units whose noise is unknown because no image was repeated.
AreaPart read_area_part(const AreaFiles& files, Predictions predictions);

/// The kept units of all parts, one part after the other. Throws Error(data) for parts of other
/// trials or images, and where no unit is left.
RecordedArea join_parts(std::span<const AreaPart> parts);

}  // namespace twinscreen
