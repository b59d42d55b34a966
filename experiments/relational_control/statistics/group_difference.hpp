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
/// returns  observed = mean of first - mean of second; with NaN among the values everything is NaN
PermutationTest permute_groups(std::span<const double> first, std::span<const double> second,
                               std::size_t split, const PermutationBlock& block);

}  // namespace twinscreen
