#include "engine/twin/mouse_network.hpp"

#include <algorithm>
#include <cmath>

namespace twinscreen {

namespace {

constexpr std::size_t channels = mouse_channels;
constexpr int ring_rows = 7;
constexpr int margin = 3;  // zero pixels around the map under the depthwise convolution
constexpr int padded_width = mouse_tap_width + 2 * margin;

/// Batch norm as y = scale * x + bias.
struct FoldedNorm {
    std::vector<double> scale;
    std::vector<double> bias;
};

FoldedNorm read_norm(const WeightReader& reader, const std::string& layer, double epsilon)
{
    const auto gamma = reader.read(layer + "norm.weight", {mouse_channels}).values;
    const auto beta = reader.read(layer + "norm.bias", {mouse_channels}).values;
    const auto mean = reader.read(layer + "norm.running_mean", {mouse_channels}).values;
    const auto variance = reader.read(layer + "norm.running_var", {mouse_channels}).values;
    FoldedNorm norm;
    for (std::size_t c = 0; c < channels; ++c) {
        TWINSCREEN_REQUIRE(variance[c] >= 0.0, data,
                           "bundle '{}': tensor '{}norm.running_var' holds {} at element {}, "
                           "expected a variance >= 0",
                           reader.bundle(), layer, variance[c], c);
        norm.scale.push_back(gamma[c] / std::sqrt(variance[c] + epsilon));
        norm.bias.push_back(beta[c] - mean[c] * norm.scale.back());
    }
    return norm;
}

/// [out, in] -> [in, out], every output times its scale.
std::vector<double> transposed(const std::vector<double>& matrix, std::size_t inputs,
                               const std::vector<double>& scale)
{
    std::vector<double> result(matrix.size());
    const std::size_t outputs = matrix.size() / inputs;
    for (std::size_t out = 0; out < outputs; ++out)
        for (std::size_t in = 0; in < inputs; ++in)
            result[in * outputs + out] = matrix[out * inputs + in] * scale[out];
    return result;
}

}  // namespace

double MouseWeights::macs() const
{
    constexpr double pixels = double(mouse_tap_height) * mouse_tap_width;
    double sum = static_cast<double>(first.size());
    for (const Block& block : blocks)
        sum +=
            static_cast<double>(block.before.size() + block.depthwise.size() + block.after.size());
    return pixels * sum;
}

std::size_t MouseWeights::count() const
{
    std::size_t sum = first.size() + first_bias.size() + behaviour.size();
    for (const Block& block : blocks)
        sum +=
            block.before.size() + block.depthwise.size() + block.after.size() + block.bias.size();
    return sum;
}

std::array<double, 2> PupilShifter::shift(double pupil_x, double pupil_y) const
{
    std::vector<double> values = {pupil_x, pupil_y};
    for (std::size_t layer = 0; layer < weights.size(); ++layer) {
        std::vector<double> next = biases[layer];
        for (std::size_t out = 0; out < next.size(); ++out) {
            for (std::size_t in = 0; in < values.size(); ++in)
                next[out] += weights[layer][out * values.size() + in] * values[in];
            next[out] = std::tanh(next[out]);
        }
        values = std::move(next);
    }
    return {values[0], values[1]};
}

MouseWeights read_mouse_network(const WeightReader& reader, double epsilon, bool hidden_elu,
                                std::int64_t behaviour_channels)
{
    const std::string core = "core.features.";
    MouseWeights network;
    network.hidden_elu = hidden_elu;
    const FoldedNorm norm = read_norm(reader, core + "layer0.", epsilon);
    const std::int64_t inputs = 1 + behaviour_channels;
    const auto kernel =
        reader.read(core + "layer0.conv.weight", {mouse_channels, inputs, 9, 9}).values;
    constexpr std::size_t taps = 81;
    network.first.resize(taps * channels);
    network.first_bias = norm.bias;
    network.behaviour.assign(static_cast<std::size_t>(behaviour_channels) * channels, 0.0);
    const auto planes = static_cast<std::size_t>(inputs);
    for (std::size_t out = 0; out < channels; ++out)
        for (std::size_t k = 0; k < taps; ++k) {
            const double* of_out = &kernel[out * planes * taps];
            network.first[k * channels + out] = of_out[k] * norm.scale[out];
            for (std::size_t plane = 1; plane < planes; ++plane)
                network.behaviour[(plane - 1) * channels + out] +=
                    of_out[plane * taps + k] * norm.scale[out];
        }
    const std::vector<double> ones(channels, 1.0);
    const std::int64_t n = mouse_channels;
    for (int number = 1; reader.has(core + "layer" + std::to_string(number) + ".norm.weight");
         ++number) {
        const std::string layer = core + "layer" + std::to_string(number) + ".";
        const FoldedNorm folded = read_norm(reader, layer, epsilon);
        const std::string convolution = layer + "ds_conv.";
        network.blocks.push_back(
            {transposed(reader.read(convolution + "in_depth_conv.weight", {n, n, 1, 1}).values,
                        channels, ones),
             transposed(reader.read(convolution + "spatial_conv.weight", {n, 1, 7, 7}).values, 49,
                        ones),
             transposed(reader.read(convolution + "out_depth_conv.weight", {n, n, 1, 1}).values,
                        channels, folded.scale),
             folded.bias});
    }
    return network;
}

PupilShifter read_shifter(const WeightReader& reader)
{
    PupilShifter shifter;
    const std::array<std::int64_t, 4> widths = {2, 5, 5, 2};
    for (std::size_t layer = 0; layer < 3; ++layer) {
        const std::string name = "shifter.mlp." + std::to_string(2 * layer);
        shifter.weights[layer] =
            reader.read(name + ".weight", {widths[layer + 1], widths[layer]}).values;
        shifter.biases[layer] = reader.read(name + ".bias", {widths[layer + 1]}).values;
    }
    return shifter;
}

struct MouseInference::Buffers {
    std::vector<float> ring = std::vector<float>(ring_rows * padded_width * channels, 0.0F);
    std::vector<float> zeros = std::vector<float>(padded_width * channels, 0.0F);
    std::vector<float> filtered = std::vector<float>(mouse_tap_width * channels);
    std::vector<float> bias = std::vector<float>(channels);
};

MouseInference::MouseInference(const MouseWeights& weights, const CpuKernels& kernels)
    : kernels_(kernels),
      first_(packed_for(kernels, weights.first, weights.first_bias)),
      behaviour_(weights.behaviour.begin(), weights.behaviour.end()),
      activation_(weights.hidden_elu ? Activation::elu : Activation::none)
{
    for (const MouseWeights::Block& block : weights.blocks)
        blocks_.push_back({packed_for(kernels, block.before, std::vector<double>(channels, 0.0)),
                           {block.depthwise.begin(), block.depthwise.end()},
                           packed_for(kernels, block.after, block.bias)});
}

void MouseInference::first_layer(const float* image, const float* bias, float* map) const
{
    for (int y = 0; y < mouse_tap_height; ++y) {
        Contraction c;
        c.input = image + y * mouse_width;
        c.row_stride = 1;
        c.segments = 9;
        c.segment_stride = mouse_width;
        c.segment_length = 9;
        c.weights = first_.weights.data();
        c.bias = bias;
        c.output = map + std::ptrdiff_t{y} * mouse_tap_width * mouse_channels;
        c.output_stride = mouse_channels;
        c.rows = mouse_tap_width;
        c.padded_columns = mouse_channels;
        c.activation = activation_;
        kernels_.contract(c);
    }
}

/// Row y of the map may be overwritten once rows up to y + margin went through the first 1x1
/// convolution into the ring.
void MouseInference::block_in_place(const Block& block, Buffers& buffers, float* map) const
{
    constexpr std::ptrdiff_t row = std::ptrdiff_t{mouse_tap_width} * mouse_channels;
    constexpr std::ptrdiff_t padded_row = std::ptrdiff_t{padded_width} * mouse_channels;
    const auto ring = [&](int y) { return buffers.ring.data() + y % ring_rows * padded_row; };
    Contraction c;
    c.row_stride = mouse_channels;
    c.segment_length = mouse_channels;
    c.output_stride = mouse_channels;
    c.rows = mouse_tap_width;
    c.padded_columns = mouse_channels;
    int produced = 0;
    for (int y = 0; y < mouse_tap_height; ++y) {
        for (; produced <= std::min(y + margin, mouse_tap_height - 1); ++produced) {
            c.input = map + produced * row;
            c.weights = block.before.weights.data();
            c.bias = block.before.bias.data();
            c.output = ring(produced) + margin * mouse_channels;
            c.activation = Activation::none;
            kernels_.contract(c);
        }
        const float* rows[ring_rows];
        for (int k = 0; k < ring_rows; ++k) {
            const int from = y + k - margin;
            rows[k] = from >= 0 && from < mouse_tap_height ? ring(from) : buffers.zeros.data();
        }
        Depthwise d;
        d.input_rows = rows;
        d.kernel = 7;
        d.weights = block.depthwise.data();
        d.output = buffers.filtered.data();
        d.pixels = mouse_tap_width;
        d.channels = mouse_channels;
        kernels_.depthwise(d);
        c.input = buffers.filtered.data();
        c.weights = block.after.weights.data();
        c.bias = block.after.bias.data();
        c.output = map + y * row;
        c.activation = activation_;
        kernels_.contract(c);
    }
}

void MouseInference::run(const float* images, const float* behaviour, std::ptrdiff_t count,
                         float* taps) const
{
    constexpr std::ptrdiff_t pixels = std::ptrdiff_t{mouse_height} * mouse_width;
    constexpr std::ptrdiff_t tap =
        std::ptrdiff_t{mouse_tap_height} * mouse_tap_width * mouse_channels;
    const std::size_t planes = behaviour_.size() / channels;
    Buffers buffers;
    for (std::ptrdiff_t i = 0; i < count; ++i) {
        buffers.bias = first_.bias;
        for (std::size_t plane = 0; plane < planes; ++plane)
            for (std::size_t c = 0; c < channels; ++c)
                buffers.bias[c] += behaviour[static_cast<std::size_t>(i) * planes + plane] *
                                   behaviour_[plane * channels + c];
        float* map = taps + i * tap;
        first_layer(images + i * pixels, buffers.bias.data(), map);
        for (const Block& block : blocks_) block_in_place(block, buffers, map);
    }
}

}  // namespace twinscreen
