#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "experiments/relational_control/statistics/trend_tests.hpp"
#include "experiments/relational_control/study/compat.hpp"

namespace twinscreen {

/// Scores of multivariate control of one subject, and of random batches of images.
struct PairScores {
    /// [pairs, draws] in drawing order; draws is at least 3 * iterations.
    std::span<const double> null_scores;
    std::size_t pairs = 0;
    /// [pairs] of the aligning, the disentangling and the baseline batch.
    std::array<std::span<const double>, 3> observed;
};

/// Whether the scores of aligning, disentangling and baseline batches fall from group to group of
/// pairs (Gifford, Jastrzebowska, Singer & Cichy 2024): by cortical distance, or from within to
/// between categories. The null value of iteration t has the random scores of draw t (aligning),
/// iterations + t (disentangling) and 2 * iterations + t (baseline) of all pairs, with the labels
/// of the pairs permuted (stream permuted_labels).
///
/// As published, one permutation of a subject serves all iterations; corrected, every iteration
/// has its own.
///
/// iterations  of the whole test, of which `block` is a part
/// returns     [3] aligning, disentangling, baseline
std::vector<TrendTests> permute_pair_labels(const PairScores& scores, const PairGroups& groups,
                                            Compat compat, std::uint32_t iterations,
                                            const PermutationBlock& block);

}  // namespace twinscreen
