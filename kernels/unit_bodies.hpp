#pragma once

#include <cmath>
#include <cstdint>

#include "kernels/bilinear_sample.hpp"
#include "kernels/function.hpp"

namespace twinscreen {

// Bodies of unit_responses.hpp; indices run over [rows, units].

/// Gain of one position in one row: indices run over [rows, positions].
template <class T>
struct GaborGains {
    const T* filters;   // [rows, 2 * pairs]
    std::int64_t pool;  // pairs per position
    std::int64_t positions;
    double floor;  // semi_saturation^2
    double max_rate;
    T* gains;  // [rows, positions]

    TWINSCREEN_FUNCTION void operator()(std::int64_t index) const
    {
        const std::int64_t row = index / positions;
        const std::int64_t position = index % positions;
        const T* of_pool = filters + 2 * pool * (row * positions + position);
        double pooled = 0.0;
        for (std::int64_t i = 0; i < 2 * pool; ++i)
            pooled += static_cast<double>(of_pool[i]) * static_cast<double>(of_pool[i]);
        gains[index] = static_cast<T>(max_rate / (floor + pooled));
    }
};

/// Energy of a complex cell, half-square of a simple one, times the gain of its position.
template <class T>
struct GaborCells {
    const T* filters;      // [rows, 2 * pairs]
    std::int64_t columns;  // 2 * pairs
    const T* gains;        // [rows, positions]; null: 1
    std::int64_t positions;
    const std::int32_t* pair;   // [cells]
    const std::int32_t* place;  // [cells] position of the pair
    const double* cosine;       // [cells] of the phase of a simple cell; NaN: a complex cell
    const double* sine;         // [cells]
    std::int64_t cells;
    T* responses;  // [rows, cells]

    TWINSCREEN_FUNCTION void operator()(std::int64_t index) const
    {
        const std::int64_t row = index / cells;
        const std::int64_t cell = index % cells;
        const T even = filters[row * columns + 2 * pair[cell]];
        const T odd = filters[row * columns + 2 * pair[cell] + 1];
        T value = even * even + odd * odd;
        if (!std::isnan(cosine[cell])) {
            const T linear = static_cast<T>(cosine[cell]) * even + static_cast<T>(sine[cell]) * odd;
            value = linear > T(0) ? linear * linear : T(0);
        }
        const T gain = gains == nullptr ? T(1) : gains[row * positions + place[cell]];
        responses[index] = gain * value;
    }
};

/// ELU + 1 of bias + features . bilinear sample of a map at each unit's place.
struct SampledUnits {
    const float* maps;  // [rows, height, width, channels]
    std::int32_t height;
    std::int32_t width;
    std::int32_t channels;
    const float* shifts;      // [rows, 2]; null: none
    const double* positions;  // [units, 2]
    const float* features;    // [units, channels]
    const float* bias;        // [units]
    std::int64_t units;
    float* responses;  // [rows, units]

    TWINSCREEN_FUNCTION void operator()(std::int64_t index) const
    {
        const std::int64_t row = index / units;
        const std::int64_t unit = index % units;
        const double x = shifts == nullptr ? 0.0 : static_cast<double>(shifts[2 * row]);
        const double y = shifts == nullptr ? 0.0 : static_cast<double>(shifts[2 * row + 1]);
        const BilinearSample sample =
            bilinear_sample(positions[2 * unit] + x, positions[2 * unit + 1] + y, height, width);
        const float* map = maps + row * height * width * channels;
        const float* weights = features + unit * channels;
        float sum = bias[unit];
        for (std::size_t corner = 0; corner < 4; ++corner) {
            const float* pixel = map + static_cast<std::int64_t>(sample.pixels[corner]) * channels;
            float dot = 0.0F;
            for (std::int32_t c = 0; c < channels; ++c) dot += weights[c] * pixel[c];
            sum += static_cast<float>(sample.weights[corner]) * dot;
        }
        responses[index] = (sum > 0.0F ? sum : std::expm1(sum)) + 1.0F;
    }
};

/// Sums of inputs with signs, each in the order of the inputs: indices run over [rows, outputs].
template <class T>
struct ProjectedRows {
    const T* values;  // [rows, inputs]
    std::int64_t inputs;
    const std::int32_t* first;   // [outputs + 1], into `source`
    const std::int32_t* source;  // twice the input, plus 1 for a minus sign
    double weight;               // of every input
    std::int64_t outputs;
    T* projected;  // [rows, outputs]

    TWINSCREEN_FUNCTION void operator()(std::int64_t index) const
    {
        const T* row = values + index / outputs * inputs;
        const std::int64_t output = index % outputs;
        double sum = 0.0;
        for (std::int32_t at = first[output]; at < first[output + 1]; ++at) {
            const double value = static_cast<double>(row[source[at] >> 1]);
            sum += (source[at] & 1) != 0 ? -weight * value : weight * value;
        }
        projected[index] = static_cast<T>(sum);
    }
};

}  // namespace twinscreen
