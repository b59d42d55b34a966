#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/base/table.hpp"
#include "engine/stimulus/source.hpp"
#include "experiments/fit_readout/fit_settings.hpp"
#include "experiments/fit_readout/image_split.hpp"
#include "experiments/recording.hpp"
#include "experiments/unit_score.hpp"

namespace twinscreen {

/// Recorded units and what every image is for; the same on every rank.
struct FitImages {
    Recording recording;  ///< as it lies in the file
    Table recorded_units;

    std::vector<std::size_t> neurons;  ///< rows of the recording that can be fitted
    Table units;                       ///< the same of the table
    std::size_t left_out = 0;          ///< units that cannot

    ImageSplit split;
    std::vector<std::uint64_t> fitted;  ///< items, ascending
    std::uint64_t unreadable = 0;       ///< items whose picture could not be read
    std::size_t leaks = 0;              ///< test images among the fitted ones
    std::size_t repeats = 0;            ///< fitted images that are in another fold as well

    /// [fitted, 2 * units] means over repeats; behind those of each image, the responses to another
    /// one: what is left when images are shuffled
    std::vector<double> responses;

    Recording scored;            ///< of the units: fitted images first, then test images
    std::vector<double> levels;  ///< mean luminance of the same images
    ScoreSettings score;
    std::vector<std::uint32_t> resamples;
};

/// Reads recording and unit table; what does not fit is complained of.
FitImages read_fit_images(const FitSettings& settings, std::uint64_t stimuli,
                          ConfigSection& section);

/// What every image is for, as a table: item, use ("train", "validation", "test"), group (number of
/// the fold; -1 for test images).
Table image_table(const FitImages& images);

/// Finds the units that can be fitted. Throws Error(data) that names those that cannot, unless they
/// are to be left out.
void settle_units(const FitSettings& settings, const ImageSplit& split, FitImages& images);

/// What was measured of every stimulus when its features were computed.
struct SeenStimuli {
    const StimulusSource& stimuli;
    std::span<const double> luminance;        ///< [items] NaN: could not be read
    std::span<const std::uint64_t> pictures;  ///< [items] digests
};

/// Parts the images and gathers their responses. Throws Error(data) for test images that are among
/// the fitted ones, unless these are allowed.
void settle_images(const FitSettings& settings, const SeenStimuli& seen, std::uint64_t seed,
                   FitImages& images);

}  // namespace twinscreen
