#include "kernels/set_score.hpp"

#include <algorithm>
#include <array>

#include "kernels/set_draw.hpp"
#include "kernels/vectorise.hpp"

namespace twinscreen {
namespace {

constexpr std::size_t similarities_ahead = 4;  // rows whose similarities are on their way
constexpr std::size_t ids_ahead = 12;          // rows whose ids and sums are
constexpr std::size_t ids_per_line = 16;

using Lanes = double __attribute__((vector_size(pair_lanes * sizeof(double))));
using Floats = float __attribute__((vector_size(pair_lanes * sizeof(float))));
using FloatsAnywhere =
    float __attribute__((vector_size(pair_lanes * sizeof(float)), aligned(4), may_alias));
using Integers = std::int32_t __attribute__((vector_size(pair_lanes * sizeof(std::int32_t))));

// Bodies of functions that are compiled several times must become part of them.
#define TWINSCREEN_PART_OF_CLONES __attribute__((always_inline)) inline

TWINSCREEN_PART_OF_CLONES double folded(const Lanes& s)
{
    const auto four =
        __builtin_shufflevector(s, s, 0, 1, 2, 3) + __builtin_shufflevector(s, s, 4, 5, 6, 7);
    const auto two =
        __builtin_shufflevector(four, four, 0, 1) + __builtin_shufflevector(four, four, 2, 3);
    return two[0] + two[1];
}

/// row_sums with its lanes as vectors, the same bits: compilers do not find them in its loops.
/// Reads up to pair_lanes - 1 values after the row and does not use them.
TWINSCREEN_PART_OF_CLONES PairSums fast_row_sums(const float* x, const float* y,
                                                 std::uint32_t count, PairOrigin origin)
{
    const Floats x_origin = Floats{} + origin.x;
    const Floats y_origin = Floats{} + origin.y;
    const Lanes x0 = __builtin_convertvector(x_origin, Lanes);
    const Lanes y0 = __builtin_convertvector(y_origin, Lanes);
    const Integers lane{0, 1, 2, 3, 4, 5, 6, 7};
    Lanes sums[5] = {};
    for (std::uint32_t column = 0; column < count; column += pair_lanes) {
        const Integers is_there = lane < static_cast<std::int32_t>(count - column);
        const Floats xs = *reinterpret_cast<const FloatsAnywhere*>(x + column);
        const Floats ys = *reinterpret_cast<const FloatsAnywhere*>(y + column);
        const Lanes dx = __builtin_convertvector(is_there ? xs : x_origin, Lanes) - x0;
        const Lanes dy = __builtin_convertvector(is_there ? ys : y_origin, Lanes) - y0;
        sums[0] += dx;
        sums[1] += dy;
        sums[2] += dx * dx;
        sums[3] += dy * dy;
        sums[4] += dx * dy;
    }
    return {folded(sums[0]), folded(sums[1]), folded(sums[2]), folded(sums[3]), folded(sums[4])};
}

/// Similarities of one row.
struct RowValues {
    alignas(64) std::array<float, largest_set + pair_lanes> x;
    alignas(64) std::array<float, largest_set + pair_lanes> y;
};

TWINSCREEN_PART_OF_CLONES void look_up(const StoredSimilarities& stored, const std::uint32_t* ids,
                                       std::uint32_t row, RowValues& values)
{
    const float* base = stored.pair(ids[row], 0);
    const std::size_t areas = stored.areas;
    const std::size_t first = stored.first;
    const std::size_t second = stored.second;
    for (std::uint32_t column = 0; column < row; ++column) {
        const float* pair = base + std::size_t{ids[column]} * areas;
        values.x[column] = pair[first];
        values.y[column] = pair[second];
    }
}

TWINSCREEN_PART_OF_CLONES void ask_for_similarities(const StoredSimilarities& stored,
                                                    const std::uint32_t* ids, std::uint32_t row)
{
    const float* base = stored.pair(ids[row], 0);
    for (std::uint32_t column = 0; column < row; ++column)
        __builtin_prefetch(base + std::size_t{ids[column]} * stored.areas);
}

TWINSCREEN_PART_OF_CLONES void ask_for_ids(const std::uint32_t* ids, std::uint32_t row,
                                           const SetSums* sums)
{
    for (std::size_t at = 0; at < row; at += ids_per_line) __builtin_prefetch(ids + at);
    __builtin_prefetch(ids + row);
    __builtin_prefetch(sums, 1);
}

TWINSCREEN_PART_OF_CLONES void add_row(const RowValues& values, SetRow which, SetSums* sums)
{
    SetSums& set = sums[which.set];
    if (which.row == 1) set = {{}, {values.x[0], values.y[0]}};
    set.sums = set.sums + fast_row_sums(values.x.data(), values.y.data(), which.row, set.origin);
}

}  // namespace

TWINSCREEN_VECTOR_CLONES
void add_stored_rows(const StoredSimilarities& stored, std::span<const std::uint32_t> sets,
                     std::uint32_t set_size, std::span<const SetRow> rows, SetSums* sums)
{
    const auto ids_of = [&](SetRow row) { return sets.data() + std::size_t{row.set} * set_size; };
    // A row is summed while the next one is looked up: values just written cannot be read as
    // vectors at once.
    std::array<RowValues, 2> values;
    for (std::size_t at = 0; at < rows.size(); ++at) {
        const SetRow soon = rows[std::min(at + similarities_ahead, rows.size() - 1)];
        ask_for_similarities(stored, ids_of(soon), soon.row);
        const SetRow later = rows[std::min(at + ids_ahead, rows.size() - 1)];
        ask_for_ids(ids_of(later), later.row, sums + later.set);

        look_up(stored, ids_of(rows[at]), rows[at].row, values[at % 2]);
        if (at > 0) add_row(values[(at - 1) % 2], rows[at - 1], sums);
    }
    if (!rows.empty()) add_row(values[(rows.size() - 1) % 2], rows.back(), sums);
}

TWINSCREEN_VECTOR_CLONES
PairSums set_sums(const float* x, const float* y, std::uint32_t set_size, std::uint32_t stride)
{
    const PairOrigin origin{x[stride], y[stride]};
    PairSums sums;
    for (std::uint32_t row = 1; row < set_size; ++row) {
        const std::size_t at = std::size_t{row} * stride;
        sums = sums + fast_row_sums(x + at, y + at, row, origin);
    }
    return sums;
}

TWINSCREEN_VECTOR_CLONES
PairSums sums_of_row(const float* x, const float* y, std::uint32_t count, PairOrigin origin)
{
    return fast_row_sums(x, y, count, origin);
}

}  // namespace twinscreen
