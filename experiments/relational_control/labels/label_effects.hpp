#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "experiments/relational_control/statistics/permutation_test.hpp"
#include "experiments/relational_control/study/compat.hpp"

namespace twinscreen {

/// What labels of images say about areas (Gifford, Jastrzebowska, Singer & Cichy 2024: images with
/// and without sky, and ventral and dorsal units).

/// Responses of all kept units to a few images [images, width].
struct ImageResponses {
    const float* values = nullptr;
    std::size_t images = 0;
    std::size_t width = 0;

    double at(std::size_t image, std::size_t column) const
    {
        return static_cast<double>(values[image * width + column]);
    }
};

/// Pearson correlations between the patterns of every two images over `count` units from column
/// `first` on: [images, images], symmetric, 1 on the diagonal. No pattern may be constant.
std::vector<double> pattern_correlations(const ImageResponses& responses, std::size_t first,
                                         std::size_t count);

/// Means of similarities within label 0, within label 1, and between the two: every two images
/// once, no image with itself.
///
/// similarity  [images, images]
/// labels      [images] 0 or 1, at least two of each
std::array<double, 3> means_by_label(std::span<const double> similarity,
                                     std::span<const std::size_t> labels);

/// Two parts of an area, and how they answer to images of one label.
struct PartEffect {
    std::array<double, 2> response{};  ///< mean over the part's units and the images
    PermutationTest test;              ///< the preferring part's mean minus the other's
    PermutationTest other;             ///< the same test as the other setting of compat does it
};

/// Whether the part that should answer more does. The means of units are exchanged between the
/// parts; as published, each exchange splits all of them in halves, instead of in parts of the
/// true sizes, and does not count where it gives the observed difference: p of parts of few units
/// is too small.
///
/// images  rows of the responses: those with the label
/// parts   columns of the two parts, at least one each
/// prefer  which part should answer more: 0 or 1
PartEffect test_parts(const ImageResponses& responses, std::span<const std::size_t> images,
                      const std::array<std::span<const std::uint32_t>, 2>& parts,
                      std::size_t prefer, Compat compat, const PermutationBlock& block);

}  // namespace twinscreen
