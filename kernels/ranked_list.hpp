#pragma once

#include <cstdint>

#include "kernels/function.hpp"

namespace twinscreen {

/// One selected value and the item that gave it.
struct Ranked {
    float value = 0.0F;
    std::uint64_t item = 0;

    friend bool operator==(const Ranked&, const Ranked&) = default;
};

TWINSCREEN_FUNCTION inline bool ranks_before(const Ranked& a, const Ranked& b)
{
    return a.value > b.value || (a.value == b.value && a.item < b.item);
}

/// Into a list that is sorted, best first; what is worse than a full list is dropped. Not for NaN.
///
/// list    [kept], of which the first `filled` hold something
TWINSCREEN_FUNCTION inline void insert_ranked(Ranked* list, std::uint32_t& filled,
                                              std::uint64_t kept, const Ranked& candidate)
{
    const bool full = filled == kept;
    if (full && !ranks_before(candidate, list[kept - 1])) return;
    std::uint64_t place = full ? kept - 1 : filled;
    while (place > 0 && ranks_before(candidate, list[place - 1])) {
        list[place] = list[place - 1];
        --place;
    }
    list[place] = candidate;
    if (!full) ++filled;
}

}  // namespace twinscreen
