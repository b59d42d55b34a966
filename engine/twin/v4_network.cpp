#include "engine/twin/v4_network.hpp"

#include <cmath>

namespace twinscreen {

namespace {

/// Per-channel factor and bias of batch norm behind a convolution with its own bias.
struct FoldedNorm {
    std::vector<double> scale;
    std::vector<double> bias;
};

FoldedNorm read_norm(const WeightReader& reader, const std::string& layer,
                     const std::string& convolution, double epsilon)
{
    const Weights bias = reader.read(convolution + ".bias", {-1});
    const std::vector<std::int64_t> expected = {bias.shape[0]};
    const auto gamma = reader.read(layer + "bn.gamma", expected).values;
    const auto beta = reader.read(layer + "bn.beta", expected).values;
    const auto mean = reader.read(layer + "bn.mean", expected).values;
    const auto variance = reader.read(layer + "bn.var", expected).values;
    FoldedNorm norm;
    for (std::size_t channel = 0; channel < gamma.size(); ++channel) {
        TWINSCREEN_REQUIRE(variance[channel] >= 0.0, data,
                           "bundle '{}': tensor '{}bn.var' holds {} at element {}, expected a "
                           "variance >= 0",
                           reader.bundle(), layer, variance[channel], channel);
        norm.scale.push_back(gamma[channel] / std::sqrt(variance[channel] + epsilon));
        norm.bias.push_back((bias.values[channel] - mean[channel]) * norm.scale.back() +
                            beta[channel]);
    }
    return norm;
}

void scale_columns(std::vector<double>& matrix, const std::vector<double>& scale)
{
    for (std::size_t i = 0; i < matrix.size(); ++i) matrix[i] *= scale[i % scale.size()];
}

}  // namespace

V4Weights read_v4_network(const WeightReader& reader, const std::string& prefix, double epsilon)
{
    V4Weights network;
    const FoldedNorm norm = read_norm(reader, prefix + "layer0.", prefix + "layer0.conv", epsilon);
    auto channels = static_cast<std::int64_t>(norm.bias.size());
    network.first = reader.read(prefix + "layer0.conv.kernel", {5, 5, 3, channels}).values;
    scale_columns(network.first, norm.scale);
    network.first_bias = norm.bias;
    for (int number = 1; number <= 4; ++number) {
        const std::string layer = prefix + "layer" + std::to_string(number) + ".";
        const FoldedNorm folded = read_norm(reader, layer, layer + "sep", epsilon);
        const auto outputs = static_cast<std::int64_t>(folded.bias.size());
        V4Weights::Layer next;
        next.depthwise = reader.read(layer + "sep.depthwise", {5, 5, channels, 1}).values;
        next.pointwise = reader.read(layer + "sep.pointwise", {1, 1, channels, outputs}).values;
        scale_columns(next.pointwise, folded.scale);
        next.bias = folded.bias;
        next.stride = number <= 2 ? 2 : 1;
        network.layers.push_back(std::move(next));
        channels = outputs;
    }
    return network;
}

double V4Weights::macs() const
{
    double side = v4_side;
    double sum = side * side * static_cast<double>(first.size());
    for (const Layer& layer : layers) {
        side /= layer.stride;
        sum += side * side * static_cast<double>(layer.depthwise.size() + layer.pointwise.size());
    }
    return sum;
}

std::size_t V4Weights::count() const
{
    std::size_t sum = first.size() + first_bias.size();
    for (const Layer& layer : layers)
        sum += layer.depthwise.size() + layer.pointwise.size() + layer.bias.size();
    return sum;
}

}  // namespace twinscreen
