#pragma once

#include <cstdint>

#include "kernels/function.hpp"

namespace twinscreen {

/// The counters of a histogram: below the first edge, the bins, above the last edge.
struct HistogramBins {
    const float* edges;  ///< [bins + 1], growing
    std::int64_t bins;
    bool even;  ///< all bins are equally wide
    float bins_per_unit;

    /// Not for NaN.
    TWINSCREEN_FUNCTION std::int64_t counter_of(float value) const
    {
        if (value < edges[0]) return 0;
        if (value > edges[bins]) return bins + 1;
        if (value == edges[bins]) return bins;
        return (even ? even_bin(value) : searched_bin(value)) + 1;
    }

private:
    /// The product may be off by one bin next to an edge; the edges decide.
    TWINSCREEN_FUNCTION std::int64_t even_bin(float value) const
    {
        auto bin = static_cast<std::int64_t>((value - edges[0]) * bins_per_unit);
        if (bin > bins - 1) bin = bins - 1;
        if (value < edges[bin]) return bin - 1;
        return value >= edges[bin + 1] ? bin + 1 : bin;
    }
    TWINSCREEN_FUNCTION std::int64_t searched_bin(float value) const
    {
        std::int64_t low = 0;  // edges[low] <= value < edges[high]
        std::int64_t high = bins;
        while (high - low > 1) {
            const std::int64_t middle = low + (high - low) / 2;
            (value < edges[middle] ? high : low) = middle;
        }
        return low;
    }
};

}  // namespace twinscreen
