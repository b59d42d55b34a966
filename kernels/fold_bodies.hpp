#pragma once

#include <cstdint>

#include "kernels/function.hpp"
#include "kernels/histogram_bins.hpp"
#include "kernels/ranked_list.hpp"

namespace twinscreen {

// Bodies of placed_folds.hpp; one index is one column, which takes its rows one after the other:
// sums in a fixed order, and no two threads at one place.

/// Rows of a batch, f32 [rows, columns].
struct FoldedRows {
    const float* values;
    std::int64_t rows;
    std::int64_t columns;
};

struct AddMoments {
    FoldedRows batch;
    double rows_before;
    double* sums;  // [6, columns]: missing, first value, powers of the distance from it

    TWINSCREEN_FUNCTION void operator()(std::int64_t column) const
    {
        double* at = sums + column;
        const std::int64_t plane = batch.columns;
        double missing = at[0], shift = at[plane];
        double s1 = at[2 * plane], s2 = at[3 * plane], s3 = at[4 * plane], s4 = at[5 * plane];
        for (std::int64_t row = 0; row < batch.rows; ++row) {
            const auto value = static_cast<double>(batch.values[row * plane + column]);
            const bool there = value == value;
            if (there && missing == rows_before + static_cast<double>(row)) shift = value;
            const double d = there ? value - shift : 0.0;
            const double dd = d * d;
            missing += there ? 0.0 : 1.0;
            s1 += d;
            s2 += dd;
            s3 += dd * d;
            s4 += dd * dd;
        }
        at[0] = missing;
        at[plane] = shift;
        at[2 * plane] = s1;
        at[3 * plane] = s2;
        at[4 * plane] = s3;
        at[5 * plane] = s4;
    }
};

struct SelectRows {
    FoldedRows batch;
    std::uint64_t first_item;
    float sign;  // -1 turns the smallest into the largest
    std::uint64_t kept;
    Ranked* lists;          // [columns, kept]
    std::uint32_t* filled;  // [columns]

    TWINSCREEN_FUNCTION void operator()(std::int64_t column) const
    {
        Ranked* list = lists + static_cast<std::uint64_t>(column) * kept;
        std::uint32_t count = filled[column];
        float worst = count == kept ? list[kept - 1].value : 0.0F;
        for (std::int64_t row = 0; row < batch.rows; ++row) {
            const float value = sign * batch.values[row * batch.columns + column];
            // Items come in ascending order: what is equal to the worst does not displace it.
            if (value != value || (count == kept && value <= worst)) continue;
            insert_ranked(list, count, kept, {value, first_item + static_cast<std::uint64_t>(row)});
            if (count == kept) worst = list[kept - 1].value;
        }
        filled[column] = count;
    }
};

struct CountRows {
    FoldedRows batch;
    HistogramBins bins;
    std::uint64_t* counts;  // [columns, bins + 2]

    TWINSCREEN_FUNCTION void operator()(std::int64_t column) const
    {
        std::uint64_t* of_column = counts + column * (bins.bins + 2);
        for (std::int64_t row = 0; row < batch.rows; ++row) {
            const float value = batch.values[row * batch.columns + column];
            if (value == value) ++of_column[bins.counter_of(value)];
        }
    }
};

}  // namespace twinscreen
