#pragma once

// Only C headers here: the inner loops include this file, see cpu_kernels_body.hpp.
#include <stddef.h>  // NOLINT(modernize-deprecated-headers)

namespace twinscreen {

enum class Activation { none, relu, elu };

/// One row of outputs of a small dense convolution or a 1x1 convolution, channels last:
///
///   output[r][n] = act(bias[n] + sum over s, k of input[r * row_stride + s * segment_stride + k]
///                                                * weights[s * segment_length + k][n])
///
/// A 1x1 convolution has one segment of all channels; a k x k convolution has k segments (kernel
/// rows) of k * channels values that lie side by side in a channels-last image.
struct Contraction {
    const float* input = nullptr;
    ptrdiff_t row_stride = 0;
    int segments = 1;
    ptrdiff_t segment_stride = 0;
    int segment_length = 0;
    const float* weights = nullptr;  ///< packed by `packed_for`
    const float* bias = nullptr;     ///< [padded_columns]
    float* output = nullptr;         ///< [rows, output_stride], all padded columns are written
    ptrdiff_t output_stride = 0;
    int rows = 0;
    int padded_columns = 0;  ///< a multiple of `lanes`
    Activation activation = Activation::none;
};

/// One row of a depthwise convolution, channels last, without bias; channels are a multiple of
/// `lanes`. input_rows[k] is kernel row k at the first, already padded, pixel.
struct Depthwise {
    const float* const* input_rows = nullptr;
    int kernel = 5;  ///< 5 or 7
    int stride = 1;
    const float* weights = nullptr;  ///< [kernel, kernel, channels]
    float* output = nullptr;         ///< [pixels, channels]
    int pixels = 0;
    int channels = 0;
};

/// Bilinear samples of a map, weighted over its channels:
/// output[u] = bias[u] + sum over t, c of weights[u][t] * map[pixels[u][t]][c] * features[u][c]
struct SampledReadout {
    const float* map = nullptr;       ///< [pixels, channels]
    int channels = 0;                 ///< a multiple of `lanes`
    const int* pixels = nullptr;      ///< [units, 4]
    const float* weights = nullptr;   ///< [units, 4]
    const float* features = nullptr;  ///< [units, channels]
    const float* bias = nullptr;      ///< [units]
    float* output = nullptr;          ///< [units]
    ptrdiff_t units = 0;
    Activation activation = Activation::none;
    float offset = 0.0F;  ///< added after the activation
};

/// Inner loops of the networks for one instruction set. All are independent and deterministic: an
/// output depends on its own inputs only, not on how many rows are asked for.
struct CpuKernels {
    const char* name;
    int lanes;  ///< floats of one vector; channel counts are padded to multiples of it
    bool (*supported)();
    void (*contract)(const Contraction&);
    void (*depthwise)(const Depthwise&);
    /// sums[n] += sum over rows of a[r][n] * b[r][n]; columns are a multiple of `lanes`
    void (*add_products)(const float* a, const float* b, ptrdiff_t rows, int columns, float* sums);
    void (*sample)(const SampledReadout&);
};

}  // namespace twinscreen
