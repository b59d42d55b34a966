#pragma once

#include <cstddef>
#include <span>

#include "experiments/relational_control/statistics/permutation_test.hpp"

namespace twinscreen {

/// Whether the mean of the first values is above that of the second: one-sided, against random
/// splits of all of them (stream permuted_labels). Of each split only the smaller part is drawn.
///
/// split    size of the part that stands for the first values: first.size(), or what a published
///          test used instead
/// tail     above, or at_least: among few values the observed split itself is drawn often, and
///          must count, however its sums are rounded
/// returns  observed = mean of first - mean of second; with NaN among the values everything is NaN
PermutationTest permute_groups(std::span<const double> first, std::span<const double> second,
                               std::size_t split, const PermutationBlock& block,
                               Tail tail = Tail::above);

/// Whether the mean of paired differences is above 0: one-sided, against random signs of each
/// (Fisher 1935), where a pair may be swapped without effect. Ties count, so that few pairs do not
/// give a small p: at best 1 / 2^pairs. Stream flipped_signs, the sign of pair j is bit j mod 32 of
/// word j / 32.
///
/// returns  observed = mean difference; with NaN among the values everything is NaN
PermutationTest flip_signs(std::span<const double> differences, const PermutationBlock& block);

}  // namespace twinscreen
