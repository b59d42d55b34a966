#pragma once

#include <cstdint>

#include "kernels/set_draw.hpp"

namespace twinscreen {

/// Sets in an executor's memory, position by position, so that neighbours in work are neighbours in
/// memory. A view.
struct SetColumns {
    std::uint32_t* ids = nullptr;  ///< [set_size, stride], of which the first `count` are used
    std::int64_t stride = 0;
    std::int64_t count = 0;
    std::uint32_t set_size = 0;

    /// Ascending ids of one set.
    TWINSCREEN_FUNCTION Apart<std::uint32_t> set(std::int64_t at) const noexcept
    {
        return {ids + at, stride};
    }
    /// Sets first ... first + sets - 1.
    TWINSCREEN_FUNCTION SetColumns part(std::int64_t first, std::int64_t sets) const noexcept
    {
        return {ids + first, stride, sets, set_size};
    }
};

/// What sets reach, in an executor's memory.
struct SetCosts {
    double* scores = nullptr;  ///< [sets] agreement, as PairSimilarity::score_sets gives it
    double* costs = nullptr;   ///< [sets] search_cost of it

    TWINSCREEN_FUNCTION SetCosts from(std::int64_t first) const noexcept
    {
        return {scores + first, costs + first};
    }
};

}  // namespace twinscreen
