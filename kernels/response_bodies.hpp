#pragma once

#include <cmath>
#include <cstdint>

#include "kernels/function.hpp"

namespace twinscreen {

// Bodies of response_rows.hpp; indices run over the elements of what is written.

struct PlaceColumns {
    const float* outputs;
    std::int64_t count;
    float* table;  // at the first row and column
    std::int64_t columns;

    TWINSCREEN_FUNCTION void operator()(std::int64_t index) const
    {
        const std::int64_t row = index / count;
        table[row * columns + index % count] = outputs[index];
    }
};

struct AddToAreas {
    const float* outputs;
    std::int64_t count;
    const std::int32_t* area_of_output;
    double* sums;  // at the first row
    std::int64_t areas;

    TWINSCREEN_FUNCTION void operator()(std::int64_t index) const
    {
        const std::int64_t row = index / count;
        sums[row * areas + area_of_output[index % count]] += static_cast<double>(outputs[index]);
    }
};

struct FinishAreas {
    const double* sums;
    const std::int32_t* first;
    const std::int32_t* unit;
    const double* weight;
    const float* responses;
    std::int64_t units;
    float* means;
    std::int64_t areas;

    TWINSCREEN_FUNCTION void operator()(std::int64_t index) const
    {
        const std::int64_t area = index % areas;
        const float* row = responses + index / areas * units;
        double sum = sums[index];
        for (std::int32_t at = first[area]; at < first[area + 1]; ++at)
            sum += weight[area] * static_cast<double>(row[unit[at]]);
        means[index] = static_cast<float>(sum);
    }
};

/// NaN in the rows that are not valid.
struct BlankRows {
    const std::uint8_t* valid;
    float* table;
    std::int64_t columns;

    TWINSCREEN_FUNCTION void operator()(std::int64_t index) const
    {
        if (valid[index / columns] == 0) table[index] = NAN;
    }
};

struct AddShares {
    const float* values;  // [rows, columns]
    std::int64_t columns;
    float share;
    float* sums;  // at the first column and the area
    std::int64_t items;
    std::int64_t areas;

    TWINSCREEN_FUNCTION void operator()(std::int64_t index) const
    {
        const std::int64_t at = index / columns * items + index % columns;
        sums[at * areas] += share * values[index];
    }
};

struct ClearBytes {
    std::uint8_t* bytes;

    TWINSCREEN_FUNCTION void operator()(std::int64_t index) const { bytes[index] = 0; }
};

}  // namespace twinscreen
