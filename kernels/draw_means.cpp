#include "kernels/draw_means.hpp"

#include <algorithm>
#include <array>

#include "engine/base/error.hpp"
#include "kernels/vectorise.hpp"

namespace twinscreen {
namespace {

constexpr std::int64_t tile_columns = 32;  // sums that stay in registers

/// As `mean_over_set`, for a whole tile of columns.
TWINSCREEN_VECTOR_CLONES
void tile_means(const float* __restrict__ table, std::int64_t columns,
                const std::uint32_t* __restrict__ set, std::int64_t size,
                double* __restrict__ means)
{
    std::array<double, tile_columns> sums{};
    for (std::int64_t k = 0; k < size; ++k) {
        const float* row = table + set[k] * columns;
        for (std::size_t c = 0; c < tile_columns; ++c) sums[c] += static_cast<double>(row[c]);
    }
    for (std::size_t c = 0; c < tile_columns; ++c) means[c] = sums[c] / static_cast<double>(size);
}

}  // namespace

void draw_means(std::span<const float> table, std::span<const std::uint32_t> sets,
                std::int64_t size, std::int64_t columns, std::span<double> means)
{
    TWINSCREEN_REQUIRE(size > 0 && columns > 0 &&
                           means.size() * static_cast<std::size_t>(size) ==
                               sets.size() * static_cast<std::size_t>(columns),
                       internal, "{} means of {} columns do not fit {} rows in sets of {}",
                       means.size(), columns, sets.size(), size);
    const auto count = static_cast<std::int64_t>(sets.size()) / size;
    for (std::int64_t at = 0; at < count; ++at) {
        const std::uint32_t* set = sets.data() + at * size;
        double* row = means.data() + at * columns;
        std::int64_t column = 0;
        for (; column + tile_columns <= columns; column += tile_columns)
            tile_means(table.data() + column, columns, set, size, row + column);
        for (; column < columns; ++column)
            row[column] = mean_over_set(table.data(), columns, set, size, column);
    }
}

}  // namespace twinscreen
