#pragma once

#include <array>
#include <string>
#include <vector>

#include "engine/twin/cpu_kernels.hpp"
#include "engine/twin/weights.hpp"

namespace twinscreen {

constexpr int mouse_height = 36;  // of the input [pixels]
constexpr int mouse_width = 64;
constexpr int mouse_tap_height = 28;  // of the core's output
constexpr int mouse_tap_width = 56;
constexpr int mouse_channels = 64;

/// A SENSORIUM 2022 core with batch norm folded into the convolutions (Willeke et al. 2022).
struct MouseWeights {
    struct Block {
        std::vector<double> before;     ///< [in, out] of the first 1x1 convolution
        std::vector<double> depthwise;  ///< [7, 7, channels]
        std::vector<double> after;      ///< [in, out] of the last 1x1 convolution
        std::vector<double> bias;       ///< [out]
    };
    std::vector<double> first;       ///< [9, 9, out], of the image channel
    std::vector<double> first_bias;  ///< [out]
    /// [behaviour channels, out]: a plane of constant value v under the unpadded first convolution
    /// adds v * row to the bias.
    std::vector<double> behaviour;
    std::vector<Block> blocks;
    bool hidden_elu = false;

    double macs() const;
    std::size_t count() const;
};

/// Pupil position -> shift of all receptive fields: three layers with tanh behind each.
struct PupilShifter {
    std::array<std::vector<double>, 3> weights;  ///< [out, in]
    std::array<std::vector<double>, 3> biases;

    std::array<double, 2> shift(double pupil_x, double pupil_y) const;
};

MouseWeights read_mouse_network(const WeightReader& reader, double epsilon, bool hidden_elu,
                                std::int64_t behaviour_channels);
PupilShifter read_shifter(const WeightReader& reader);

/// 32-bit inference, one image after the other; bits do not depend on the batch.
class MouseInference {
public:
    explicit MouseInference(const MouseWeights& weights, const CpuKernels& kernels = cpu_kernels());

    /// images     [count, 36, 64]
    /// behaviour  [count, behaviour channels], null where the network has none
    /// taps       [count, 28, 56, 64]
    void run(const float* images, const float* behaviour, std::ptrdiff_t count, float* taps) const;

private:
    struct Block {
        PackedMatrix before;
        std::vector<float> depthwise;
        PackedMatrix after;
    };
    struct Buffers;
    void first_layer(const float* image, const float* bias, float* map) const;
    void block_in_place(const Block& block, Buffers& buffers, float* map) const;

    const CpuKernels& kernels_;
    PackedMatrix first_;
    std::vector<float> behaviour_;
    std::vector<Block> blocks_;
    Activation activation_;
};

}  // namespace twinscreen
