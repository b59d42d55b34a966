#include "kernels/set_gram.hpp"

#include <algorithm>

#include "kernels/vectorise.hpp"

namespace twinscreen {
namespace {

constexpr std::size_t rows_of_tile = 6;
constexpr std::size_t columns_of_tile = 16;

using Four = float __attribute__((vector_size(16)));
using FourAnywhere = float __attribute__((vector_size(16), aligned(4), may_alias));
using Tile = float __attribute__((vector_size(64)));
using TileAnywhere = float __attribute__((vector_size(64), aligned(4), may_alias));

// Bodies of functions that are compiled several times must become part of them.
#define TWINSCREEN_PART_OF_CLONES __attribute__((always_inline)) inline

/// Four units of four items as four rows of the panel.
TWINSCREEN_PART_OF_CLONES void transpose_four(const float* const* in, std::uint32_t unit,
                                              std::size_t columns, float* out)
{
    const Four a = *reinterpret_cast<const FourAnywhere*>(in[0] + unit);
    const Four b = *reinterpret_cast<const FourAnywhere*>(in[1] + unit);
    const Four c = *reinterpret_cast<const FourAnywhere*>(in[2] + unit);
    const Four d = *reinterpret_cast<const FourAnywhere*>(in[3] + unit);
    const Four ab_low = __builtin_shufflevector(a, b, 0, 4, 1, 5);
    const Four ab_high = __builtin_shufflevector(a, b, 2, 6, 3, 7);
    const Four cd_low = __builtin_shufflevector(c, d, 0, 4, 1, 5);
    const Four cd_high = __builtin_shufflevector(c, d, 2, 6, 3, 7);
    auto* first = reinterpret_cast<FourAnywhere*>(out);
    auto* second = reinterpret_cast<FourAnywhere*>(out + columns);
    auto* third = reinterpret_cast<FourAnywhere*>(out + 2 * columns);
    auto* fourth = reinterpret_cast<FourAnywhere*>(out + 3 * columns);
    *first = __builtin_shufflevector(ab_low, cd_low, 0, 1, 4, 5);
    *second = __builtin_shufflevector(ab_low, cd_low, 2, 3, 6, 7);
    *third = __builtin_shufflevector(ab_high, cd_high, 0, 1, 4, 5);
    *fourth = __builtin_shufflevector(ab_high, cd_high, 2, 3, 6, 7);
}

/// Units [first, end) of the items as rows of the panel.
TWINSCREEN_PART_OF_CLONES void transpose_units(const PatternRows& patterns,
                                               std::span<const std::uint32_t> ids,
                                               std::uint32_t first, std::uint32_t end, float* panel)
{
    const std::size_t columns = padded_columns(ids.size());
    const std::uint32_t end_of_fours = first + (end - first) / 4 * 4;
    for (std::size_t group = 0; group < columns; group += columns_of_tile) {
        const float* in[columns_of_tile];
        for (std::size_t i = 0; i < columns_of_tile; ++i)
            in[i] = patterns.row(ids[std::min(group + i, ids.size() - 1)]);
        float* out = panel + group;
        std::uint32_t unit = first;
        for (; unit < end_of_fours; unit += 4, out += 4 * columns)
            for (std::size_t i = 0; i < columns_of_tile; i += 4)
                transpose_four(in + i, unit, columns, out + i);
        for (; unit < end; ++unit, out += columns)
            for (std::size_t i = 0; i < columns_of_tile; ++i) out[i] = in[i][unit];
    }
}

/// Sums over at most units_per_sum units of the products of six rows with 16 columns, added to
/// what there is of them; `is_first`: in its place.
TWINSCREEN_PART_OF_CLONES void multiply_tile(const float* const* rows, std::uint32_t units,
                                             const float* panel, std::size_t columns, bool is_first,
                                             float* products)
{
    Tile sums[rows_of_tile] = {};
    for (std::uint32_t unit = 0; unit < units; ++unit, panel += columns) {
        const Tile column = *reinterpret_cast<const TileAnywhere*>(panel);
        for (std::size_t row = 0; row < rows_of_tile; ++row) sums[row] += rows[row][unit] * column;
    }
    for (std::size_t row = 0; row < rows_of_tile; ++row) {
        auto* to = reinterpret_cast<TileAnywhere*>(products + row * columns);
        *to = is_first ? sums[row] : *to + sums[row];
    }
}

/// One block of units. `only_lower`: tiles that hold a product of row > column.
TWINSCREEN_PART_OF_CLONES void multiply_block(const PatternRows& patterns,
                                              std::span<const std::uint32_t> ids,
                                              std::uint32_t first, std::uint32_t end,
                                              const float* panel, std::size_t columns,
                                              bool only_lower, float* products)
{
    for (std::size_t row = 0; row < ids.size(); row += rows_of_tile) {
        const float* rows[rows_of_tile];
        for (std::size_t i = 0; i < rows_of_tile; ++i)
            rows[i] = patterns.row(ids[std::min(row + i, ids.size() - 1)]) + first;
        const std::size_t width = only_lower ? std::min(columns, row + rows_of_tile) : columns;
        for (std::size_t column = 0; column < width; column += columns_of_tile)
            multiply_tile(rows, end - first, panel + column, columns, first == 0,
                          products + row * columns + column);
    }
}

}  // namespace

TWINSCREEN_VECTOR_CLONES
void transpose_patterns(const PatternRows& patterns, std::span<const std::uint32_t> ids,
                        float* panel)
{
    transpose_units(patterns, ids, 0, patterns.units, panel);
}

TWINSCREEN_VECTOR_CLONES
void multiply_with_panel(const PatternRows& patterns, std::span<const std::uint32_t> ids,
                         const float* panel, std::size_t columns, float* products)
{
    for (std::uint32_t first = 0; first < patterns.units; first += units_per_sum)
        multiply_block(patterns, ids, first, std::min(patterns.units, first + units_per_sum),
                       panel + first * columns, columns, false, products);
}

TWINSCREEN_VECTOR_CLONES
void multiply_set(const PatternRows& patterns, std::span<const std::uint32_t> ids, float* panel,
                  float* products)
{
    const std::size_t columns = padded_columns(ids.size());
    for (std::uint32_t first = 0; first < patterns.units; first += units_per_sum) {
        const std::uint32_t end = std::min(patterns.units, first + units_per_sum);
        transpose_units(patterns, ids, first, end, panel);
        multiply_block(patterns, ids, first, end, panel, columns, true, products);
    }
}

}  // namespace twinscreen
