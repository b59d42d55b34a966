#pragma once

#include <cstdint>

#include "engine/device/executor.hpp"
#include "kernels/evolution_bodies.hpp"

namespace twinscreen {

// The steps of a genetic search where an executor works: the same sets, the same order of sets and
// the same survivors as on the host. All memory is the executor's; work is stream-ordered.

/// Sets which.first, which.first + 1, ..., as draw_sets draws them.
///
/// scratch  [2, set_size, sets]
void draw_random_sets(const ChainDraws& draws, const RandomSets& which, const SetColumns& sets,
                      std::uint32_t* scratch, Executor& executor);

/// Mutants of every parent, as draw_mutants draws them.
///
/// sizes    [size_count]
/// scratch  [3, set_size, mutants]
void mutate(const ChainDraws& draws, std::uint32_t generation, const SetColumns& parents,
            const std::uint32_t* sizes, const SetColumns& mutants, std::uint32_t* scratch,
            Executor& executor);

/// Memory of a selection.
struct SelectionRoom {
    std::uint32_t* before = nullptr;   ///< [rank_parts, pool]
    std::uint32_t* members = nullptr;  ///< [parents]
};

/// As many of the pool as it has parents, the smallest costs first; of equal costs, those that come
/// first in the pool.
///
/// is_sorted  the parents of the pool come in this order, too
void select_survivors(const Pool& pool, bool is_sorted, const SelectionRoom& room,
                      const Survivors& survivors, Executor& executor);

}  // namespace twinscreen
