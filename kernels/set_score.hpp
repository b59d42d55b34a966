#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>

#include "kernels/function.hpp"

namespace twinscreen {

/// Pairs of a set: the strict lower triangle, row by row: (1,0), (2,0), (2,1), ...
TWINSCREEN_FUNCTION constexpr std::uint32_t pair_count(std::uint32_t set_size) noexcept
{
    return set_size * (set_size - 1) / 2;
}

/// Sums over pairs of the similarities x and y in two areas, as distances from an origin.
struct PairSums {
    double x = 0.0;
    double y = 0.0;
    double xx = 0.0;
    double yy = 0.0;
    double xy = 0.0;
};

TWINSCREEN_FUNCTION constexpr PairSums operator+(const PairSums& a, const PairSums& b) noexcept
{
    return {a.x + b.x, a.y + b.y, a.xx + b.xx, a.yy + b.yy, a.xy + b.xy};
}
TWINSCREEN_FUNCTION constexpr PairSums operator-(const PairSums& a, const PairSums& b) noexcept
{
    return {a.x - b.x, a.y - b.y, a.xx - b.xx, a.yy - b.yy, a.xy - b.xy};
}

/// Pearson correlation of `count` pairs in -1..1; NaN where a side does not vary or a value is NaN.
TWINSCREEN_FUNCTION inline double correlation(const PairSums& sums, double count) noexcept
{
    const double xx = sums.xx - sums.x * (sums.x / count);
    const double yy = sums.yy - sums.y * (sums.y / count);
    const double xy = sums.xy - sums.x * (sums.y / count);
    if (!(xx > 0.0 && yy > 0.0)) return std::numeric_limits<double>::quiet_NaN();
    const double r = xy / std::sqrt(xx * yy);
    if (r > 1.0) return 1.0;
    return r < -1.0 ? -1.0 : r;
}

/// What a search makes smaller: less the score where areas shall agree, its absolute value where
/// they shall not; infinite for a set without a score, which so never survives.
TWINSCREEN_FUNCTION inline double search_cost(bool aligns, double score) noexcept
{
    if (std::isnan(score)) return std::numeric_limits<double>::infinity();
    return aligns ? -score : std::abs(score);
}

/// What similarities are measured from: those of a set's first pair, (1,0). Sums of a side that
/// does not vary are then exactly 0.
struct PairOrigin {
    float x = 0.0F;
    float y = 0.0F;
};

/// Partial sums of a row: column c belongs to sum c mod 8. Fixed, so that all processors round
/// alike.
inline constexpr std::uint32_t pair_lanes = 8;
/// Values that a row of `count` takes in memory.
TWINSCREEN_FUNCTION constexpr std::uint32_t padded_row(std::uint32_t count) noexcept
{
    return (count + pair_lanes - 1) / pair_lanes * pair_lanes;
}

/// The similarities of one pair.
struct alignas(8) PairValue {
    float x = 0.0F;
    float y = 0.0F;
};

/// Sums over one row of pairs.
///
/// line  [count]  line[column] is the PairValue of a column
template <class Line>
TWINSCREEN_FUNCTION inline PairSums line_sums(const Line& line, std::uint32_t count,
                                              PairOrigin origin) noexcept
{
    double sums[5][pair_lanes] = {};
    const auto x0 = static_cast<double>(origin.x);
    const auto y0 = static_cast<double>(origin.y);
    const auto add = [&](std::uint32_t lane, PairValue pair) {
        const double dx = static_cast<double>(pair.x) - x0;
        const double dy = static_cast<double>(pair.y) - y0;
        sums[0][lane] += dx;
        sums[1][lane] += dy;
        sums[2][lane] += dx * dx;
        sums[3][lane] += dy * dy;
        sums[4][lane] += dx * dy;
    };
    // Eight look-ups are under way at once, and lanes are known when this is compiled.
    std::uint32_t column = 0;
    for (; column + pair_lanes <= count; column += pair_lanes) {
        PairValue pairs[pair_lanes];
        for (std::uint32_t lane = 0; lane < pair_lanes; ++lane) pairs[lane] = line[column + lane];
        for (std::uint32_t lane = 0; lane < pair_lanes; ++lane) add(lane, pairs[lane]);
    }
    for (std::uint32_t lane = 0; lane < pair_lanes; ++lane)
        if (column + lane < count) add(lane, line[column + lane]);
    double total[5];
    for (std::uint32_t sum = 0; sum < 5; ++sum) {
        const double* s = sums[sum];
        total[sum] = ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]));
    }
    return {total[0], total[1], total[2], total[3], total[4]};
}

/// Sums over one row of pairs.
///
/// x, y  [count]
TWINSCREEN_FUNCTION inline PairSums row_sums(const float* x, const float* y, std::uint32_t count,
                                             PairOrigin origin) noexcept
{
    struct TwoArrays {
        const float* x;
        const float* y;

        TWINSCREEN_FUNCTION PairValue operator[](std::uint32_t column) const noexcept
        {
            return {x[column], y[column]};
        }
    };
    return line_sums(TwoArrays{x, y}, count, origin);
}

/// Similarities of all pairs of items in several areas, two of which are compared. A view.
struct StoredSimilarities {
    const float* values = nullptr;  ///< [items, items, areas]; only row > column is read
    std::uint64_t items = 0;
    std::uint32_t areas = 2;
    std::uint32_t first = 0;   ///< area of x
    std::uint32_t second = 1;  ///< area of y

    TWINSCREEN_FUNCTION const float* pair(std::uint64_t row, std::uint64_t column) const noexcept
    {
        return values + (row * items + column) * areas;
    }
};

/// One row of the pairs of one set.
struct SetRow {
    std::uint32_t set = 0;
    std::uint32_t row = 0;  ///< 1 ... set_size - 1
};

/// What has been summed of one set: one cache line.
struct alignas(64) SetSums {
    PairSums sums;
    PairOrigin origin;
};

/// Adds rows of pairs to the sums of their sets, in the order given; the rows of one set must come
/// in ascending order. Sets whose rows are close together in memory are best taken together: one
/// look at memory takes longer than all the arithmetic on what it brings. Several threads may call
/// it at once.
///
/// sets  [sets, set_size]  ascending ids
/// sums  [sets]
void add_stored_rows(const StoredSimilarities& stored, std::span<const std::uint32_t> sets,
                     std::uint32_t set_size, std::span<const SetRow> rows, SetSums* sums);

/// Sums over the pairs of one set, the same as those from its rows.
///
/// x, y  [set_size, stride]  similarities, of which row > column is used; stride >=
///                           padded_row(set_size)
PairSums set_sums(const float* x, const float* y, std::uint32_t set_size, std::uint32_t stride);

/// row_sums on the host.
///
/// x, y  [padded_row(count)]
PairSums sums_of_row(const float* x, const float* y, std::uint32_t count, PairOrigin origin);

}  // namespace twinscreen
