#include "kernels/histogram.hpp"

#include <algorithm>
#include <cmath>

namespace twinscreen {
namespace {

constexpr std::size_t tile_columns = 32;  // counters of a tile stay in the cache

}  // namespace

Histogram::Histogram(std::vector<float> edges, std::size_t columns)
    : edges_(std::move(edges)), columns_(columns)
{
    TWINSCREEN_REQUIRE(edges_.size() >= 2, config, "a histogram has {} edges (at least 2)",
                       edges_.size());
    for (std::size_t i = 0; i < edges_.size(); ++i)
        TWINSCREEN_REQUIRE(std::isfinite(edges_[i]) && (i == 0 || edges_[i - 1] < edges_[i]),
                           config, "histogram edge {} is {} (edges must be finite and grow)", i,
                           edges_[i]);
    const std::size_t bins = edges_.size() - 1;
    even_ = edges_ == even_edges(edges_.front(), edges_.back(), bins);
    bins_per_unit_ = static_cast<float>(bins) / (edges_.back() - edges_.front());
    counts_.resize(columns_ * counters(), 0);
}

std::vector<float> Histogram::even_edges(float low, float high, std::size_t bins)
{
    std::vector<float> edges(bins + 1);
    for (std::size_t i = 0; i <= bins; ++i)
        edges[i] = static_cast<float>(low + (static_cast<double>(high) - low) *
                                                static_cast<double>(i) / static_cast<double>(bins));
    return edges;
}

HistogramBins Histogram::bins() const noexcept
{
    return {edges_.data(), static_cast<std::int64_t>(edges_.size() - 1), even_, bins_per_unit_};
}

void Histogram::add_rows(ConstBatch rows)
{
    TWINSCREEN_REQUIRE(
        rows.shape.rank == 2 && static_cast<std::size_t>(rows.shape.extent[1]) == columns_,
        internal, "rows have shape {}, expected [rows, {}]", rows.shape.text(), columns_);
    const float* values = values_of<float>(rows).data();
    const HistogramBins bins = this->bins();
    const auto count = static_cast<std::size_t>(rows.shape.extent[0]);
    for (std::size_t first = 0; first < columns_; first += tile_columns) {
        const std::size_t end = std::min(first + tile_columns, columns_);
        for (std::size_t row = 0; row < count; ++row) {
            for (std::size_t c = first; c < end; ++c) {
                const float value = values[row * columns_ + c];
                if (!std::isnan(value))
                    ++counts_[c * counters() + static_cast<std::size_t>(bins.counter_of(value))];
            }
        }
    }
}

void Histogram::merge(const Histogram& other)
{
    TWINSCREEN_REQUIRE(other.edges_ == edges_ && other.columns_ == columns_, internal,
                       "histograms with different edges or columns cannot be merged");
    merge(other.counts());
}

void Histogram::merge(ConstBatch counts)
{
    const auto added = values_of<std::uint64_t>(counts);
    TWINSCREEN_REQUIRE(added.size() == counts_.size(), internal,
                       "stored histogram counts have shape {}, expected [{}, {}]",
                       counts.shape.text(), columns_, counters());
    for (std::size_t i = 0; i < counts_.size(); ++i) counts_[i] += added[i];
}

ConstBatch Histogram::counts() const
{
    return {counts_.data(), ElementType::u64,
            Shape{static_cast<std::int64_t>(columns_), static_cast<std::int64_t>(counters())}};
}

}  // namespace twinscreen
