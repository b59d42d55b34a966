#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "engine/base/types.hpp"
#include "kernels/histogram_bins.hpp"

namespace twinscreen {

/// Counts of the values of each column between fixed edges.
///
/// Of B + 1 edges there are B + 2 counters per column: below the first edge, the B bins, above the
/// last edge. Bins hold edge[i] <= value < edge[i + 1], the last one its upper edge too (as numpy
/// counts). NaN is not counted.
class Histogram {
public:
    /// Edges must grow strictly; at least two.
    Histogram(std::vector<float> edges, std::size_t columns);
    /// `bins` bins of equal width from `low` to `high`.
    static std::vector<float> even_edges(float low, float high, std::size_t bins);

    /// rows  [rows, columns]  f32
    void add_rows(ConstBatch rows);
    void merge(const Histogram& other);
    /// Adds counts that were stored: [columns, bins + 2] u64.
    void merge(ConstBatch counts);

    std::size_t columns() const noexcept { return columns_; }
    std::size_t counters() const noexcept { return edges_.size() + 1; }
    const std::vector<float>& edges() const noexcept { return edges_; }
    /// The edges belong to this histogram.
    HistogramBins bins() const noexcept;
    /// [columns, bins + 2]
    ConstBatch counts() const;
    /// As those of accumulators elsewhere.
    const Histogram& result() const noexcept { return *this; }

private:
    std::vector<float> edges_;
    std::size_t columns_;
    bool even_ = false;
    float bins_per_unit_ = 0.0F;
    std::vector<std::uint64_t> counts_;
};

}  // namespace twinscreen
