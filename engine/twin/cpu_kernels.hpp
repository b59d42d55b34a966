#pragma once

#include <cstddef>
#include <span>
#include <vector>

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
    std::ptrdiff_t row_stride = 0;
    int segments = 1;
    std::ptrdiff_t segment_stride = 0;
    int segment_length = 0;
    const float* weights = nullptr;  ///< packed by `packed_for`
    const float* bias = nullptr;     ///< [padded_columns]
    float* output = nullptr;         ///< [rows, output_stride], all padded columns are written
    std::ptrdiff_t output_stride = 0;
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
    const float* map = nullptr;  ///< [pixels, channels]
    int channels = 0;            ///< a multiple of `lanes`
    const int* pixels = nullptr;      ///< [units, 4]
    const float* weights = nullptr;   ///< [units, 4]
    const float* features = nullptr;  ///< [units, channels]
    const float* bias = nullptr;      ///< [units]
    float* output = nullptr;          ///< [units]
    std::ptrdiff_t units = 0;
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
    void (*add_products)(const float* a, const float* b, std::ptrdiff_t rows, int columns,
                         float* sums);
    void (*sample)(const SampledReadout&);
};

/// All that this build holds and this processor can run, best first.
std::span<const CpuKernels* const> supported_cpu_kernels();
/// The best of them.
const CpuKernels& cpu_kernels();

int padded_to_lanes(int columns, int lanes) noexcept;

/// A matrix in the order in which `contract` reads it.
struct PackedMatrix {
    std::vector<float> weights;  ///< blocks of 2 * lanes columns, the last of lanes if that suffices:
                                 ///< [block][depth][columns of the block], zeros in padded columns
    std::vector<float> bias;     ///< [padded_columns]
    int depth = 0;
    int columns = 0;
    int padded_columns = 0;
};
/// matrix  [depth, columns];  bias  [columns]
PackedMatrix packed_for(const CpuKernels& kernels, const std::vector<double>& matrix,
                        const std::vector<double>& bias);
/// matrix [rows, columns] with columns padded by zeros to a multiple of lanes.
std::vector<float> padded_rows(const CpuKernels& kernels, const std::vector<double>& matrix,
                               int columns);

}  // namespace twinscreen
