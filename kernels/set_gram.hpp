#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "kernels/function.hpp"

namespace twinscreen {

/// Patterns of one area, scaled so that the product of two rows is the similarity of two items: for
/// correlations each row less its mean, over its length. A view.
struct PatternRows {
    const float* values = nullptr;  ///< [rows, stride], the first `units` of each row
    std::uint64_t items = 0;
    std::uint32_t units = 0;
    std::uint64_t stride = 0;
    const std::uint32_t* places = nullptr;  ///< [items] row of each item; null: as numbered

    TWINSCREEN_FUNCTION const float* row(std::uint64_t item) const noexcept
    {
        return values + (places == nullptr ? item : places[item]) * stride;
    }
};

/// Units that are summed one after the other in float; so are then these sums. Relative error of a
/// product about 1e-7 times the root of (128 + units / 128).
inline constexpr std::uint32_t units_per_sum = 128;

/// The product of two rows, as all kernels here round it.
TWINSCREEN_FUNCTION inline float pattern_product(const float* a, const float* b,
                                                 std::uint32_t units) noexcept
{
    float total = 0.0F;
    for (std::uint32_t first = 0; first < units; first += units_per_sum) {
        float sum = 0.0F;
        for (std::uint32_t unit = first; unit < units && unit < first + units_per_sum; ++unit)
            sum += a[unit] * b[unit];
        total += sum;
    }
    return total;
}

/// Columns come in groups of 16, rows in groups of 6.
constexpr std::size_t padded_columns(std::size_t count) noexcept { return (count + 15) / 16 * 16; }
constexpr std::size_t padded_rows_of_products(std::size_t count) noexcept
{
    return (count + 5) / 6 * 6;
}

/// Patterns of the given items with units as rows; columns that pad repeat the last item.
///
/// ids    [count]
/// panel  [units, padded_columns(count)]
void transpose_patterns(const PatternRows& patterns, std::span<const std::uint32_t> ids,
                        float* panel);

/// Products of items with the items of a panel.
///
/// ids       [count]
/// panel     [units, columns]  of transpose_patterns
/// products  [padded_rows_of_products(count), columns]
void multiply_with_panel(const PatternRows& patterns, std::span<const std::uint32_t> ids,
                         const float* panel, std::size_t columns, float* products);

/// Products of every two different items of a set.
///
/// ids       [count]
/// panel     [units_per_sum, padded_columns(count)]  to work in
/// products  [padded_rows_of_products(count), padded_columns(count)]  row > column; others
/// undefined
void multiply_set(const PatternRows& patterns, std::span<const std::uint32_t> ids, float* panel,
                  float* products);

}  // namespace twinscreen
