#include <mutex>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/autograd.h>

#include "engine/twin/backbone_cache.hpp"
#include "engine/twin/families.hpp"
#include "engine/twin/placed_tensor.hpp"
#include "engine/twin/stored_trace.hpp"
#include "engine/twin/tensor_trace.hpp"
#include "engine/twin/torch_readouts.hpp"
#include "engine/twin/torch_tools.hpp"
#include "engine/twin/v4_network.hpp"

namespace twinscreen {

namespace {

constexpr std::int64_t v4_batch = 8;  // images run one by one; this only amortises the calls

/// A network as tensor operations: differentiable, in either precision, on any device.
struct V4Graph {
    struct Layer {
        PlacedTensor depthwise;  // [in, 1, 5, 5]
        PlacedTensor pointwise;  // [out, in, 1, 1]
        PlacedTensor bias;
        std::vector<std::int64_t> strides;
    };
    PlacedTensor first;  // [out, 3, 5, 5]
    PlacedTensor first_bias;
    std::vector<Layer> layers;

    V4Graph(const V4Weights& weights, Precision precision)
    {
        auto channels = static_cast<std::int64_t>(weights.first_bias.size());
        first = tensor_of(weights.first, {5, 5, 3, channels}, precision).permute({3, 2, 0, 1});
        first_bias = tensor_of(weights.first_bias, {channels}, precision);
        for (const V4Weights::Layer& layer : weights.layers) {
            const auto outputs = static_cast<std::int64_t>(layer.bias.size());
            layers.push_back(
                {{tensor_of(layer.depthwise, {5, 5, channels, 1}, precision).permute({2, 3, 0, 1})},
                 {tensor_of(layer.pointwise, {1, 1, channels, outputs}, precision)
                      .permute({3, 2, 0, 1})},
                 {tensor_of(layer.bias, {outputs}, precision)},
                 {layer.stride, layer.stride}});
            channels = outputs;
        }
    }

    /// images [rows, 112, 112, 3] -> [rows, 28, 28, channels]
    at::Tensor run(const at::Tensor& images) const
    {
        at::Tensor x = at::relu(at::conv2d(images.permute({0, 3, 1, 2}), first.like(images),
                                           first_bias.like(images), {1, 1}, {2, 2}));
        for (const Layer& layer : layers) {
            // TensorFlow SAME: of the padding of an even side, the smaller half comes first.
            const std::int64_t before = layer.strides[0] == 2 ? 1 : 2;
            x = at::constant_pad_nd(x, {before, 2, before, 2});
            x = at::conv2d(x, layer.depthwise.like(x), std::nullopt, at::IntArrayRef(layer.strides),
                           at::IntArrayRef({0, 0}), at::IntArrayRef({1, 1}), x.size(1));
            x = at::relu(at::conv2d(x, layer.pointwise.like(x), layer.bias.like(x)));
        }
        return x.permute({0, 2, 3, 1}).contiguous();
    }
};

class V4Backbone final : public Backbone {
public:
    V4Backbone(V4Weights weights, InputTransform transform, const NetworkEntry& entry,
               std::string digest, Precision precision)
        : weights_(std::move(weights)),
          transform_(std::move(transform)),
          digest_(std::move(digest)),
          precision_(precision),
          taps_{{entry.tap, entry.tap_row}},
          inference_(weights_)
    {
    }

    const std::string& digest() const noexcept override { return digest_; }
    const InputTransform& input() const noexcept override { return transform_; }
    std::span<const Axis> covariates() const noexcept override { return {}; }
    std::span<const TapSpec> taps() const noexcept override { return taps_; }
    std::int64_t compute_batch() const noexcept override { return v4_batch; }
    std::size_t memory_bytes(std::span<const TapId>) const override
    {
        const auto tap = static_cast<std::size_t>(v4_batch * taps_[0].row.count());
        return weights_.count() * (sizeof(double) + sizeof(float)) + inference_.memory_bytes() +
               tap * sizeof(float);
    }
    double macs_per_row(std::span<const TapId>) const override { return weights_.macs(); }

    std::unique_ptr<Trace> forward(const ForwardRequest& request, Executor& executor) override
    {
        if (request.keep_for_gradient || precision_ == Precision::f64 ||
            executor.wants_whole_batches())
            return graph_trace(request);
        const std::int64_t rows = request.stimuli.shape.extent[0];
        std::vector<OwnedBatch> taps;
        taps.emplace_back(ElementType::f32, taps_[0].row.with_rows(rows));
        const std::int64_t pixels = transform_.row_shape().count();
        const float* images = values_of<float>(request.stimuli).data();
        float* out = taps[0].values<float>().data();
        at::parallel_for(0, rows, 1, [&](std::int64_t first, std::int64_t last) {
            inference_.run(images + first * pixels, last - first,
                           out + first * taps_[0].row.count());
        });
        return std::make_unique<StoredTrace>(std::move(taps));
    }

private:
    std::unique_ptr<Trace> graph_trace(const ForwardRequest& request)
    {
        std::call_once(graph_made_,
                       [this] { graph_ = std::make_unique<V4Graph>(weights_, precision_); });
        const c10::AutoGradMode with_graph(request.keep_for_gradient);
        at::Tensor images = tensor_view(request.stimuli);
        if (!request.keep_for_gradient)
            return std::make_unique<TensorTrace>(
                std::map<std::size_t, at::Tensor>{{0, graph_->run(images)}});
        images = images.clone().requires_grad_(true);
        const at::Tensor core = graph_->run(images);
        return std::make_unique<TensorTrace>(
            std::map<std::size_t, at::Tensor>{{0, core}},
            [images, core](std::span<const TapGradient> cotangents) {
                at::Tensor given = at::zeros_like(core);
                for (const TapGradient& cotangent : cotangents)
                    given += tensor_view(cotangent.values.view()).to(core.device());
                return batch_of(torch::autograd::grad({core}, {images}, {given},
                                                      /*retain_graph=*/true)[0]);
            });
    }

    V4Weights weights_;
    InputTransform transform_;
    std::string digest_;
    Precision precision_;
    std::vector<TapSpec> taps_;
    V4Inference inference_;
    std::once_flag graph_made_;
    std::unique_ptr<V4Graph> graph_;  // made when first needed
};

std::unique_ptr<Readout> read_readout(const NetworkEntry& entry, const Backbone& backbone,
                                      const WeightReader& weights, Precision precision)
{
    static const std::vector<TapId> core = {TapId{0}};
    const std::int64_t units = entry.units;
    const std::int64_t channels = entry.tap_row.extent[2];
    if (entry.readout == "dense")
        return read_dense_readout(entry, backbone, core, weights, precision);
    TWINSCREEN_REQUIRE(entry.readout == "mixing_pool", data,
                       "bundle '{}': a v4_compact network has readout '{}', expected 'dense' or "
                       "'mixing_pool'",
                       weights.bundle(), entry.readout);
    MixingPool pool;
    pool.mixing = weights.read(entry.prefix + "mixing.kernel", {1, 1, channels, units}).values;
    pool.mixing_bias = weights.read(entry.prefix + "mixing.bias", {units}).values;
    pool.pool = weights
                    .read(entry.prefix + "spatial_pool.kernel",
                          {entry.tap_row.extent[0], entry.tap_row.extent[1], units, 1})
                    .values;
    pool.bias = weights.read(entry.prefix + "spatial_pool.bias", {units}).values;
    return mixing_pool_readout(std::move(pool), entry.tap_row, precision);
}

std::string digest_of(const V4Weights& network, const BundleDescription& bundle,
                      Precision precision)
{
    std::vector<std::span<const std::byte>> bytes = {
        std::as_bytes(std::span<const double>(network.first)),
        std::as_bytes(std::span<const double>(network.first_bias))};
    for (const V4Weights::Layer& layer : network.layers) {
        bytes.push_back(std::as_bytes(std::span<const double>(layer.depthwise)));
        bytes.push_back(std::as_bytes(std::span<const double>(layer.pointwise)));
        bytes.push_back(std::as_bytes(std::span<const double>(layer.bias)));
    }
    return backbone_digest(bundle.transform, precision, "v4_compact", bytes);
}

void require_v4_shapes(const BundleDescription& bundle, const NetworkEntry& entry,
                       const V4Weights& network)
{
    const InputTransform& transform = bundle.transform;
    TWINSCREEN_REQUIRE(transform.channels == 3 && transform.height == v4_side &&
                           transform.width == v4_side && transform.channels_last,
                       data,
                       "bundle '{}': a v4_compact twin takes {} channels-last images, "
                       "twin.toml declares {}",
                       bundle.spec.name, Shape({v4_side, v4_side, 3}).text(),
                       transform.row_shape().text());
    const Shape found{v4_tap_side, v4_tap_side,
                      static_cast<std::int64_t>(network.layers.back().bias.size())};
    TWINSCREEN_REQUIRE(entry.tap_row == found, data,
                       "bundle '{}': twin.toml declares tap '{}{}' {}, the weights give {}",
                       bundle.spec.name, entry.prefix, entry.tap, entry.tap_row.text(),
                       found.text());
}

}  // namespace

std::vector<TwinPart> v4_compact_parts(const BundleDescription& bundle, const WeightReader& weights,
                                       Precision precision)
{
    std::vector<TwinPart> parts;
    for (const NetworkEntry& entry : bundle.networks) {
        V4Weights network = read_v4_network(weights, entry.prefix, bundle.batch_norm_epsilon);
        require_v4_shapes(bundle, entry, network);
        const std::string digest = digest_of(network, bundle, precision);
        TwinPart part;
        part.backbone = shared_backbone(digest, [&] {
            return std::make_shared<V4Backbone>(std::move(network), bundle.transform, entry, digest,
                                                precision);
        });
        part.readout = read_readout(entry, *part.backbone, weights, precision);
        parts.push_back(std::move(part));
    }
    return parts;
}

}  // namespace twinscreen
