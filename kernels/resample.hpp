#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "kernels/image.hpp"

namespace twinscreen {

/// Where the outputs of one axis come from: output i is the sum over t < count[i] of
/// weight[i * taps + t] * input[first[i] + t].
struct AxisWeights {
    int taps = 0;
    std::vector<int> first;           ///< [outputs]
    std::vector<int> count;           ///< [outputs]
    std::vector<float> weight;        ///< [outputs, taps], sums to 1
    std::vector<std::int32_t> fixed;  ///< the same times 2^22, rounded; only for pil_* filters
};

/// One axis of a resize: `input` pixels to `output` pixels, of which only the outputs
/// kept_first ... kept_first + kept_count - 1 are wanted.
struct ResampledAxis {
    int input = 0;
    int output = 0;
    int kept_first = 0;
    int kept_count = 0;

    friend bool operator==(const ResampledAxis&, const ResampledAxis&) = default;
};

/// Weights from a cache of the calling thread.
std::shared_ptr<const AxisWeights> axis_weights(ResizeFilter filter, const ResampledAxis& axis);

/// True for conventions that round to uint8 after each pass when the input is uint8.
bool rounds_each_pass(ResizeFilter filter) noexcept;

/// Resamples uint8 as Pillow does: horizontally, rounded, then vertically, rounded.
///
/// source  [rows.input, columns.input, channels]
/// result  [rows.kept_count, columns.kept_count, channels]
void resample_rounded(ResizeFilter filter, const ResampledAxis& rows, const ResampledAxis& columns,
                      int channels, const std::uint8_t* source, std::uint8_t* result);

/// Resamples in float, without rounding. Shapes as above.
void resample(ResizeFilter filter, const ResampledAxis& rows, const ResampledAxis& columns,
              int channels, const float* source, float* result);
void resample(ResizeFilter filter, const ResampledAxis& rows, const ResampledAxis& columns,
              int channels, const std::uint8_t* source, float* result);

}  // namespace twinscreen
