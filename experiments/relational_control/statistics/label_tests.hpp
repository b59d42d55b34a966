#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "experiments/relational_control/statistics/trend_tests.hpp"
#include "experiments/relational_control/study/area_pair.hpp"
#include "experiments/relational_control/univariate/conditions.hpp"

namespace twinscreen {

/// Controlling images of all pairs of a few areas, and the responses of one subject to them.
struct LabelStudy {
    /// [images, areas] without NaN: leave unknown images out and renumber the sets.
    std::span<const float> responses;
    std::uint32_t areas = 0;      ///< 2 to 4: at most 24 orders of the labels
    std::vector<AreaPair> pairs;  ///< of columns of the responses
    PairGroups groups;
    /// [pairs] images by condition; may be short or empty.
    std::vector<std::array<std::span<const std::uint32_t>, control_conditions>> sets;
    std::vector<std::span<const std::uint32_t>> baselines;  ///< [areas] images
};

/// [condition]
using ConditionTrends = std::vector<TrendTests>;

/// How far areas can be driven from their baselines, by groups of pairs (Gifford, Jastrzebowska,
/// Singer & Cichy 2024). The value of an image of a pair in each of its two areas is
/// |u - mean u of the baseline images of that area|; a group has the values of all its pairs, both
/// areas and all images. The aligning conditions are tested to fall from group to group, the
/// disentangling ones to rise.
///
/// Null: in every image the labels of the areas are permuted (stream permuted_labels), of the
/// baseline images too. Only images in a set are drawn. Permutations of subjects differ if their
/// block.item does; they count within subjects, so either is valid.
ConditionTrends permute_area_labels(const LabelStudy& study, const PermutationBlock& block);

/// The same values against a permutation of all responses of all images in all areas (stream
/// permuted_images), of which only those in a set are drawn: the test of category selectivity.
ConditionTrends permute_area_positions(const LabelStudy& study, const PermutationBlock& block);

/// Whether correlations of areas over all images fall from group to group of pairs, against labels
/// of the areas permuted in every image (stream permuted_labels: give an item that no
/// `permute_area_labels` has).
///
/// responses  [images, areas]  2 to 4 areas, without NaN
TrendTests permute_correlations(std::span<const float> responses, std::uint32_t areas,
                                std::span<const AreaPair> pairs, const PairGroups& groups,
                                const PermutationBlock& block);

}  // namespace twinscreen
