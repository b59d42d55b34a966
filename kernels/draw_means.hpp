#pragma once

#include <cstdint>
#include <span>

#include "kernels/function.hpp"

namespace twinscreen {

/// Mean of one column over the rows of a set, in set order and in double.
///
/// table  [rows, columns]  f32
/// set    [size]           rows
TWINSCREEN_FUNCTION inline double mean_over_set(const float* table, std::int64_t columns,
                                                const std::uint32_t* set, std::int64_t size,
                                                std::int64_t column)
{
    double sum = 0.0;
    for (std::int64_t k = 0; k < size; ++k)
        sum += static_cast<double>(table[set[k] * columns + column]);
    return sum / static_cast<double>(size);
}

/// One mean for each set and column; index = set * columns + column, so that neighbours read
/// neighbouring columns.
struct DrawMeans {
    const float* table = nullptr;         // [rows, columns]
    const std::uint32_t* sets = nullptr;  // [sets, size]
    double* means = nullptr;              // [sets, columns]
    std::int64_t columns = 0;
    std::int64_t size = 0;

    TWINSCREEN_FUNCTION void operator()(std::int64_t index) const
    {
        const std::int64_t set = index / columns;
        means[index] = mean_over_set(table, columns, sets + set * size, size, index % columns);
    }
};

/// The means of `DrawMeans` on this core, with the same bits: many columns at once.
///
/// table  [rows, columns]  f32
/// sets   [sets, size]     rows, each below the number of rows
/// means  [sets, columns]
void draw_means(std::span<const float> table, std::span<const std::uint32_t> sets,
                std::int64_t size, std::int64_t columns, std::span<double> means);

}  // namespace twinscreen
