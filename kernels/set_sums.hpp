#pragma once

#include <cstdint>

#include "engine/device/executor.hpp"
#include "kernels/set_columns.hpp"
#include "kernels/set_gram.hpp"
#include "kernels/set_score.hpp"
#include "kernels/set_sum_bodies.hpp"

namespace twinscreen {

// Scores of many sets where an executor works, with the bits of PairSimilarity on the host: every
// sum has the same order. All memory is the executor's; work is stream-ordered.

/// Memory to work in.
struct SumRoom {
    double* sums = nullptr;         ///< [set_size - 1, 5, sets]
    PairValue* products = nullptr;  ///< [pair_count, sets], for patterns only
};

/// From similarities that are looked up.
///
/// pairs  [items (items - 1) / 2]  the strict lower triangle
/// costs  [sets]
void score_from_pairs(const PairValue* pairs, const SetColumns& sets, bool aligns,
                      const SumRoom& room, const SetCosts& costs, Executor& executor);

/// From patterns of both areas.
struct AreaPatterns {
    const PatternPart* parts = nullptr;  ///< [all_parts] of the first area, then of the second
    std::uint32_t first_parts = 0;
    std::uint32_t all_parts = 0;
};
void score_from_patterns(const AreaPatterns& areas, const SetColumns& sets, bool aligns,
                         const SumRoom& room, const SetCosts& costs, Executor& executor);

}  // namespace twinscreen
