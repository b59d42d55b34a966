#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "engine/base/shared_reads.hpp"
#include "engine/base/table.hpp"
#include "experiments/fit_readout/image_split.hpp"
#include "experiments/recording.hpp"

namespace twinscreen {

/// The table of the recorded units: the file's, or numbered units of one subject and area. Has at
/// least the columns id, subject, area (texts), noise_ceiling, x and y.
///
/// throws  Error(data) for a file that does not have one row per neuron
Table recorded_units(const std::filesystem::path& file, std::size_t neurons,
                     const std::string& subject, const std::string& area, SharedReads& reads);

/// Mean over the repeats of each item, of some neurons: [items listed, neurons listed]; NaN where
/// nothing was recorded.
std::vector<double> mean_responses(const Recording& recording,
                                   const std::vector<std::uint64_t>& items,
                                   const std::vector<std::size_t>& neurons);

/// A neuron that nothing can be fitted to, and why.
struct UnusableUnit {
    std::size_t neuron = 0;
    std::string reason;
};
/// Neurons whose averages are missing for an image that is fitted on, do not vary over these, or
/// are missing for all but two test images.
std::vector<UnusableUnit> unusable_units(const Recording& recording, const ImageSplit& split);

/// The recording of the listed items and neurons only, in that order.
Recording excerpt(const Recording& recording, const std::vector<std::uint64_t>& items,
                  const std::vector<std::size_t>& neurons);

}  // namespace twinscreen
