#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/twin/cpu_kernels.hpp"
#include "engine/twin/weights.hpp"

namespace twinscreen {

/// A compact V4 network with batch norm folded into the convolutions; 32-bit inference code and the
/// differentiable graph are both made from it. Kernels are [y, x, in, out] as published.
struct V4Weights {
    struct Layer {
        std::vector<double> depthwise;  ///< [5, 5, in]
        std::vector<double> pointwise;  ///< [in, out]
        std::vector<double> bias;       ///< [out]
        int stride = 1;
    };
    std::vector<double> first;       ///< [5, 5, 3, out]
    std::vector<double> first_bias;  ///< [out]
    std::vector<Layer> layers;

    /// Multiply-accumulates of one 112 x 112 image.
    double macs() const;
    /// Values of all tensors.
    std::size_t count() const;
};

constexpr int v4_side = 112;     // of the input [pixels]
constexpr int v4_tap_side = 28;  // of the last layer

/// Checks every tensor of the network under `prefix` against its neighbours.
V4Weights read_v4_network(const WeightReader& reader, const std::string& prefix, double epsilon);

/// 32-bit inference, one image after the other. Rows of all layers flow through ring buffers of
/// five rows, so that activations never leave the cache; bits do not depend on the batch.
class V4Inference {
public:
    explicit V4Inference(const V4Weights& weights, const CpuKernels& kernels = cpu_kernels());
    ~V4Inference();

    int channels() const noexcept;
    /// Working memory of one thread [bytes].
    std::size_t memory_bytes() const noexcept;
    /// images [count, 112, 112, 3] -> taps [count, 28, 28, channels]
    void run(const float* images, std::ptrdiff_t count, float* taps) const;

private:
    class Pass;
    struct Layer {
        std::vector<float> depthwise;
        PackedMatrix pointwise;
        int in_padded = 0;
        int in_side = 0;
        int out_side = 0;
        int stride = 1;
    };
    const CpuKernels& kernels_;
    PackedMatrix first_;
    std::vector<Layer> layers_;
};

}  // namespace twinscreen
