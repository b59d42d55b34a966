#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "experiments/relational_control/statistics/permutation_test.hpp"
#include "experiments/relational_control/univariate/conditions.hpp"

namespace twinscreen {

/// Images of one pair of areas, as rows of the table of responses. A list may be short or empty,
/// and an image may be in several lists, but only once in each.
struct ControlSets {
    std::array<std::span<const std::uint32_t>, control_conditions> controlling;
    std::array<std::span<const std::uint32_t>, 2> baseline;
};

/// [condition, area]
using ControlTests = std::array<std::array<PermutationTest, 2>, control_conditions>;

/// Whether controlling images drive two areas of one subject, against random relabelling of the
/// images (Gifford, Jastrzebowska, Singer & Cichy 2024): the effect is the mean response to the
/// images of a condition minus the mean response to the baseline images of the same area; high
/// responses are tested with null > observed, low ones with null < observed. One permutation of all
/// images serves both areas, all conditions and both baselines of an iteration.
///
/// Only the places of images in a set matter, so only these are drawn (stream permuted_images).
///
/// responses  [images, 2]  of the two areas, without NaN: leave unknown images out of the table
///                         and renumber the sets; at least as many rows as images in the sets
/// returns    effect and p are NaN where a condition or the baseline of the area has no image
ControlTests permute_images(std::span<const float> responses, const ControlSets& sets,
                            const PermutationBlock& block);

}  // namespace twinscreen
