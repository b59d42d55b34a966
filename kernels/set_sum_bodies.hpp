#pragma once

#include <cstdint>

#include "kernels/set_columns.hpp"
#include "kernels/set_gram.hpp"
#include "kernels/set_score.hpp"

namespace twinscreen {

// Bodies of set_sums.hpp. Neighbouring indices are the same row of neighbouring sets: equally long,
// with ids and sums side by side in memory.

/// Pairs of items, looked up. The strict lower triangle row by row.
struct StoredLookup {
    struct Line {
        const PairValue* row;
        Apart<std::uint32_t> ids;

        TWINSCREEN_FUNCTION PairValue operator[](std::uint32_t column) const noexcept
        {
            return row[ids[column]];
        }
    };

    const PairValue* values;  // [items (items - 1) / 2]
    SetColumns sets;

    TWINSCREEN_FUNCTION Line line(std::int64_t set, std::uint32_t row) const noexcept
    {
        const Apart<std::uint32_t> ids = sets.set(set);
        const std::uint64_t item = ids[row];
        return {values + item * (item - 1) / 2, ids};
    }
};

/// Pairs of positions of each set, computed before.
struct ProductLookup {
    using Line = Apart<const PairValue>;

    const PairValue* values;  // [pair_count, sets]
    std::int64_t sets;

    TWINSCREEN_FUNCTION Line line(std::int64_t set, std::uint32_t row) const noexcept
    {
        return {values + pair_count(row) * sets + set, sets};
    }
};

template <class Lookup>
struct SumRows {
    Lookup lookup;
    std::uint32_t sets;
    std::uint32_t set_size;
    double* sums;  // [rows, 5, sets]

    TWINSCREEN_FUNCTION void operator()(std::int64_t index) const
    {
        const auto at = static_cast<std::uint32_t>(index);
        const std::uint32_t set = at % sets;
        const std::uint32_t row = set_size - 1 - at / sets;  // the longest first
        const PairValue first = lookup.line(set, 1)[0];
        const PairSums row_sum = line_sums(lookup.line(set, row), row, {first.x, first.y});
        const Apart<double> to{sums + std::int64_t{5} * (row - 1) * sets + set, sets};
        to[0] = row_sum.x;
        to[1] = row_sum.y;
        to[2] = row_sum.xx;
        to[3] = row_sum.yy;
        to[4] = row_sum.xy;
    }
};

struct ScoreSums {
    const double* sums;
    std::int64_t sets;
    std::uint32_t set_size;
    bool aligns;
    SetCosts to;

    TWINSCREEN_FUNCTION void operator()(std::int64_t set) const
    {
        PairSums all;
        Apart<const double> row{sums + set, sets};
        for (std::uint32_t at = 1; at < set_size; ++at, row = row + 5)
            all = all + PairSums{row[0], row[1], row[2], row[3], row[4]};
        const double score = correlation(all, pair_count(set_size));
        to.scores[set] = score;
        to.costs[set] = search_cost(aligns, score);
    }
};

/// Four units of one item at once.
struct alignas(16) FourUnits {
    float unit[4];
};

/// Patterns of one population in an executor's memory, and their weight in an area.
struct PatternPart {
    const FourUnits* values;  // [items, fours]
    std::uint32_t fours;      // zeros fill the last: they add nothing
    float weight;
};

inline constexpr std::uint32_t items_of_tile = 4;

/// Products of four items with four others of a set, in both areas, each rounded as
/// pattern_product rounds it.
struct MultiplyTiles {
    SetColumns sets;
    const PatternPart* parts;  // of the first area, then of the second
    std::uint32_t first_parts;
    std::uint32_t all_parts;
    std::uint32_t tiles;  // of a set
    float* products;      // [pair_count, sets, 2]

    TWINSCREEN_FUNCTION void operator()(std::int64_t index) const
    {
        const std::int64_t set = index / tiles;
        std::uint32_t column = static_cast<std::uint32_t>(index % tiles);
        std::uint32_t row = 0;
        for (; column > row; ++row) column -= row + 1;
        multiply(set, row * items_of_tile, column * items_of_tile);
    }

private:
    using Tile = float[items_of_tile][items_of_tile];

    TWINSCREEN_FUNCTION void multiply(std::int64_t set, std::uint32_t first_row,
                                      std::uint32_t first_column) const
    {
        std::uint64_t rows[items_of_tile];
        std::uint64_t columns[items_of_tile];
        const std::uint32_t last = sets.set_size - 1;
        for (std::uint32_t i = 0; i < items_of_tile; ++i) {
            rows[i] = sets.set(set)[first_row + i < last ? first_row + i : last];
            columns[i] = sets.set(set)[first_column + i < last ? first_column + i : last];
        }
        for (std::uint32_t area = 0; area < 2; ++area) {
            Tile sum = {};
            const std::uint32_t begin = area == 0 ? 0 : first_parts;
            const std::uint32_t end = area == 0 ? first_parts : all_parts;
            for (std::uint32_t part = begin; part < end; ++part)
                add_part(parts[part], rows, columns, part == begin, sum);
            store(set, first_row, first_column, area, sum);
        }
    }

    TWINSCREEN_FUNCTION static void add_part(const PatternPart& part, const std::uint64_t* rows,
                                             const std::uint64_t* columns, bool is_first, Tile& sum)
    {
        constexpr std::uint32_t fours_per_sum = units_per_sum / 4;
        Tile total = {};
        for (std::uint32_t first = 0; first < part.fours; first += fours_per_sum) {
            const std::uint32_t end =
                first + fours_per_sum < part.fours ? first + fours_per_sum : part.fours;
            Tile block = {};
            for (std::uint32_t four = first; four < end; ++four)
                add_four(part, rows, columns, four, block);
            for (std::uint32_t i = 0; i < items_of_tile; ++i)
                for (std::uint32_t j = 0; j < items_of_tile; ++j) total[i][j] += block[i][j];
        }
        for (std::uint32_t i = 0; i < items_of_tile; ++i)
            for (std::uint32_t j = 0; j < items_of_tile; ++j) {
                const float weighted = part.weight * total[i][j];
                sum[i][j] = is_first ? weighted : sum[i][j] + weighted;
            }
    }

    TWINSCREEN_FUNCTION static void add_four(const PatternPart& part, const std::uint64_t* rows,
                                             const std::uint64_t* columns, std::uint32_t four,
                                             Tile& block)
    {
        FourUnits a[items_of_tile];
        FourUnits b[items_of_tile];
        for (std::uint32_t i = 0; i < items_of_tile; ++i) {
            a[i] = part.values[rows[i] * part.fours + four];
            b[i] = part.values[columns[i] * part.fours + four];
        }
        for (std::uint32_t unit = 0; unit < 4; ++unit)
            for (std::uint32_t i = 0; i < items_of_tile; ++i)
                for (std::uint32_t j = 0; j < items_of_tile; ++j)
                    block[i][j] += a[i].unit[unit] * b[j].unit[unit];
    }

    TWINSCREEN_FUNCTION void store(std::int64_t set, std::uint32_t first_row,
                                   std::uint32_t first_column, std::uint32_t area,
                                   const Tile& sum) const
    {
        for (std::uint32_t i = 0; i < items_of_tile; ++i)
            for (std::uint32_t j = 0; j < items_of_tile; ++j) {
                const std::uint32_t row = first_row + i;
                const std::uint32_t column = first_column + j;
                if (row < sets.set_size && column < row)
                    products[((pair_count(row) + column) * sets.count + set) * 2 + area] =
                        sum[i][j];
            }
    }
};

}  // namespace twinscreen
