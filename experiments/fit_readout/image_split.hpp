#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "experiments/item_span.hpp"

namespace twinscreen {

/// How a campaign parts its images.
struct SplitSettings {
    ItemSpan train;  ///< given ranges; all of them empty: drawn by `shares`
    ItemSpan validation;
    ItemSpan test;
    std::vector<double> shares{0.75, 0.0, 0.25};  ///< of train, validation and test
    std::size_t folds = 5;  ///< of the training images, where there are no validation images
};

/// Which images are for what; item numbers ascend in every list.
struct ImageSplit {
    /// Images that are fitted on: the folds of the training images, or training and validation.
    std::vector<std::vector<std::uint64_t>> groups;
    std::vector<std::size_t> held_out;  ///< groups that are held out in turn to choose penalties
    std::vector<std::uint64_t> test;

    /// All images that are fitted on, in ascending order.
    std::vector<std::uint64_t> fitted() const;
};

/// Parts the usable images. Ranges are taken as they are; shares are filled in the order of the
/// draws (seed, split, item), folds dealt in the order of the draws (seed, folds, item): what an
/// image is for depends on the seed and the numbers of the images only.
///
/// usable  item numbers, ascending
/// throws  Error(config) for too few images
ImageSplit split_images(const SplitSettings& settings, const std::vector<std::uint64_t>& usable,
                        std::uint64_t seed);

/// Which image each of `count` images is exchanged for when images are shuffled: Fisher & Yates
/// with the draws (seed, shuffled_images, place).
std::vector<std::size_t> shuffled_places(std::size_t count, std::uint64_t seed);

/// Images that are in several groups under several numbers, by their digests.
std::size_t repeats_over_groups(const ImageSplit& split, std::span<const std::uint64_t> digests);

/// Images that are fitted on and tested with.
struct Leak {
    std::uint64_t fitted = 0;
    std::uint64_t tested = 0;
};
/// Test images that are, by their digests, images of the groups.
///
/// digests  [items]
std::vector<Leak> leaks_of(const ImageSplit& split, std::span<const std::uint64_t> digests);

}  // namespace twinscreen
