#include <algorithm>
#include <mutex>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/autograd.h>

#include "engine/twin/backbone_cache.hpp"
#include "engine/twin/families.hpp"
#include "engine/twin/gaussian_readout.hpp"
#include "engine/twin/mouse_network.hpp"
#include "engine/twin/placed_tensor.hpp"
#include "engine/twin/tensor_trace.hpp"
#include "engine/twin/torch_tools.hpp"

namespace twinscreen {

namespace {

constexpr std::int64_t mouse_batch = 8;  // images run one by one; this only amortises the calls
constexpr TapId core_tap{0};
constexpr TapId shift_tap{1};

/// A core as tensor operations: differentiable, in either precision, on any device.
struct MouseGraph {
    struct Block {
        PlacedTensor before;     // [out, in, 1, 1]
        PlacedTensor depthwise;  // [channels, 1, 7, 7]
        PlacedTensor after;      // [out, in, 1, 1]
        PlacedTensor bias;
    };
    PlacedTensor first;  // [out, 1, 9, 9]
    PlacedTensor first_bias;
    PlacedTensor behaviour;  // [planes, out]
    std::vector<Block> blocks;
    bool hidden_elu;

    MouseGraph(const MouseWeights& weights, Precision precision) : hidden_elu(weights.hidden_elu)
    {
        constexpr std::int64_t n = mouse_channels;
        const auto matrix = [&](const std::vector<double>& values) {
            return tensor_of(values, {1, 1, n, n}, precision).permute({3, 2, 0, 1});
        };
        first = tensor_of(weights.first, {9, 9, 1, n}, precision).permute({3, 2, 0, 1});
        first_bias = tensor_of(weights.first_bias, {n}, precision);
        behaviour =
            tensor_of(weights.behaviour,
                      {static_cast<std::int64_t>(weights.behaviour.size()) / n, n}, precision);
        for (const MouseWeights::Block& block : weights.blocks)
            blocks.push_back(
                {matrix(block.before),
                 tensor_of(block.depthwise, {7, 7, n, 1}, precision).permute({2, 3, 0, 1}),
                 matrix(block.after), tensor_of(block.bias, {n}, precision)});
    }

    /// images [rows, 1, 36, 64], states [rows, planes] -> [rows, 28, 56, 64]
    at::Tensor run(const at::Tensor& images, const at::Tensor& states) const
    {
        const auto active = [this](const at::Tensor& x) { return hidden_elu ? at::elu(x) : x; };
        at::Tensor x = at::conv2d(images, first.like(images), first_bias.like(images));
        if (behaviour.host().size(0) > 0)
            x = x + at::mm(states, behaviour.like(states)).unsqueeze(2).unsqueeze(3);
        x = active(x);
        for (const Block& block : blocks) {
            x = at::conv2d(x, block.before.like(x));
            x = at::conv2d(x, block.depthwise.like(x), std::nullopt, at::IntArrayRef({1, 1}),
                           at::IntArrayRef({3, 3}), at::IntArrayRef({1, 1}), mouse_channels);
            x = active(at::conv2d(x, block.after.like(x), block.bias.like(x)));
        }
        return x.permute({0, 2, 3, 1}).contiguous();
    }
};

class MouseBackbone final : public Backbone {
public:
    MouseBackbone(MouseWeights weights, std::optional<PupilShifter> shifter,
                  const BundleDescription& bundle, std::string digest, Precision precision)
        : weights_(std::move(weights)),
          shifter_(std::move(shifter)),
          transform_(bundle.transform),
          covariates_(bundle.covariates),
          digest_(std::move(digest)),
          precision_(precision),
          inference_(weights_)
    {
        taps_.push_back({"core", Shape{mouse_tap_height, mouse_tap_width, mouse_channels}});
        if (!shifter_) return;
        taps_.push_back({"shift", Shape{2}});
        for (std::size_t layer = 0; layer < shifter_->weights.size(); ++layer) {
            const auto outputs = static_cast<std::int64_t>(shifter_->biases[layer].size());
            const auto count = static_cast<std::int64_t>(shifter_->weights[layer].size());
            shifter_layers_.push_back(
                {{tensor_of(shifter_->weights[layer], {outputs, count / outputs}, Precision::f64)},
                 {tensor_of(shifter_->biases[layer], {outputs}, Precision::f64)}});
        }
    }

    const std::string& digest() const noexcept override { return digest_; }
    const InputTransform& input() const noexcept override { return transform_; }
    std::span<const Axis> covariates() const noexcept override { return covariates_; }
    std::span<const TapSpec> taps() const noexcept override { return taps_; }
    std::int64_t compute_batch() const noexcept override { return mouse_batch; }
    std::size_t memory_bytes(std::span<const TapId>) const override
    {
        const auto tap = static_cast<std::size_t>(mouse_batch * taps_[0].row.count());
        return weights_.count() * (sizeof(double) + sizeof(float)) + tap * sizeof(float);
    }
    double macs_per_row(std::span<const TapId>) const override { return weights_.macs(); }

    std::unique_ptr<Trace> forward(const ForwardRequest& request, Executor& executor) override
    {
        const auto wants = [&](TapId tap) {
            return std::find(request.wanted.begin(), request.wanted.end(), tap) !=
                   request.wanted.end();
        };
        std::map<std::size_t, at::Tensor> taps;
        if (shifter_ && wants(shift_tap)) taps[1] = shifts(request);
        TensorTrace::PullBack pull_back;
        if (wants(core_tap)) {
            if (request.keep_for_gradient || precision_ == Precision::f64 ||
                executor.wants_whole_batches())
                taps[0] = graph_core(request, pull_back);
            else
                taps[0] = fast_core(request);
        }
        return std::make_unique<TensorTrace>(std::move(taps), std::move(pull_back));
    }

private:
    /// [rows, extent] of a covariate in the twin's precision.
    at::Tensor covariate(const ForwardRequest& request, const std::string& name) const
    {
        const auto axis = std::find_if(covariates_.begin(), covariates_.end(),
                                       [&](const Axis& a) { return a.name == name; });
        const Shape expected{request.stimuli.shape.extent[0], axis->extent};
        for (const NamedBatch& given : request.covariates) {
            if (given.name != name) continue;
            TWINSCREEN_REQUIRE(given.values.shape == expected, data,
                               "covariate '{}' has shape {}, this twin expects {}", name,
                               given.values.shape.text(), expected.text());
            return tensor_view(given.values)
                .to(precision_ == Precision::f32 ? at::kFloat : at::kDouble);
        }
        throw Error(Error::Kind::data,
                    fmt::format("this twin needs the covariate '{}' {}", name, expected.text()),
                    "give it in the campaign as a constant or an item column");
    }

    at::Tensor states(const ForwardRequest& request) const
    {
        if (weights_.behaviour.empty()) return {};
        return covariate(request, "behavior").contiguous();
    }

    at::Tensor shifts(const ForwardRequest& request) const
    {
        const c10::NoGradGuard no_graph;
        const at::Tensor pupil = covariate(request, "pupil").to(at::kDouble).contiguous();
        at::Tensor result = pupil.is_cpu() ? shifts_one_by_one(pupil) : shifts_together(pupil);
        return precision_ == Precision::f32 ? result.to(at::kFloat) : result;
    }

    at::Tensor shifts_one_by_one(const at::Tensor& pupil) const
    {
        at::Tensor result = at::empty_like(pupil);
        const double* from = pupil.const_data_ptr<double>();
        double* to = result.mutable_data_ptr<double>();
        for (std::int64_t row = 0; row < pupil.size(0); ++row) {
            const auto shift = shifter_->shift(from[2 * row], from[2 * row + 1]);
            std::copy(shift.begin(), shift.end(), to + 2 * row);
        }
        return result;
    }

    at::Tensor shifts_together(const at::Tensor& pupil) const
    {
        at::Tensor x = pupil;
        for (std::size_t layer = 0; layer < shifter_layers_.size(); ++layer) {
            const auto& [matrix, offset] = shifter_layers_[layer];
            x = at::tanh(at::addmm(offset.like(x), x, matrix.like(x).t()));
        }
        return x;
    }

    at::Tensor fast_core(const ForwardRequest& request) const
    {
        const c10::NoGradGuard no_graph;
        const std::int64_t rows = request.stimuli.shape.extent[0];
        at::Tensor core = at::empty({rows, mouse_tap_height, mouse_tap_width, mouse_channels});
        const float* images = values_of<float>(request.stimuli).data();
        float* out = core.mutable_data_ptr<float>();
        const at::Tensor state = states(request);
        const std::int64_t planes = state.defined() ? state.size(1) : 0;
        const float* behaviour = state.defined() ? state.const_data_ptr<float>() : nullptr;
        at::parallel_for(0, rows, 1, [&](std::int64_t first, std::int64_t last) {
            inference_.run(images + first * mouse_height * mouse_width,
                           planes > 0 ? behaviour + first * planes : nullptr, last - first,
                           out + first * taps_[0].row.count());
        });
        return core;
    }

    at::Tensor graph_core(const ForwardRequest& request, TensorTrace::PullBack& pull_back)
    {
        std::call_once(graph_made_,
                       [this] { graph_ = std::make_unique<MouseGraph>(weights_, precision_); });
        const c10::AutoGradMode with_graph(request.keep_for_gradient);
        at::Tensor images = tensor_view(request.stimuli);
        if (request.keep_for_gradient) images = images.clone().requires_grad_(true);
        const at::Tensor core = graph_->run(images, states(request));
        if (request.keep_for_gradient)
            pull_back = [images, core](std::span<const TapGradient> cotangents) {
                at::Tensor given = at::zeros_like(core);
                for (const TapGradient& cotangent : cotangents)
                    if (cotangent.tap == core_tap)
                        given += tensor_view(cotangent.values.view()).to(core.device());
                return batch_of(torch::autograd::grad({core}, {images}, {given},
                                                      /*retain_graph=*/true)[0]);
            };
        return core;
    }

    MouseWeights weights_;
    std::optional<PupilShifter> shifter_;
    InputTransform transform_;
    std::vector<Axis> covariates_;
    std::string digest_;
    Precision precision_;
    std::vector<TapSpec> taps_;
    MouseInference inference_;
    struct ShifterLayer {
        PlacedTensor matrix;  // [out, in]
        PlacedTensor offset;
    };
    std::vector<ShifterLayer> shifter_layers_;
    std::once_flag graph_made_;
    std::unique_ptr<MouseGraph> graph_;  // made when first needed
};

std::string digest_of(const MouseWeights& network, const std::optional<PupilShifter>& shifter,
                      const BundleDescription& bundle, Precision precision)
{
    const auto raw = [](const std::vector<double>& values) {
        return std::as_bytes(std::span<const double>(values));
    };
    std::vector<std::span<const std::byte>> bytes = {raw(network.first), raw(network.first_bias),
                                                     raw(network.behaviour)};
    for (const MouseWeights::Block& block : network.blocks)
        for (const auto* values : {&block.before, &block.depthwise, &block.after, &block.bias})
            bytes.push_back(raw(*values));
    if (shifter)
        for (std::size_t layer = 0; layer < 3; ++layer) {
            bytes.push_back(raw(shifter->weights[layer]));
            bytes.push_back(raw(shifter->biases[layer]));
        }
    return backbone_digest(bundle.transform, precision,
                           network.hidden_elu ? "sensorium elu" : "sensorium linear", bytes);
}

/// Behaviour channels, 0 without; a twin has either none of the two covariates or both.
std::int64_t behaviour_channels(const BundleDescription& bundle)
{
    if (bundle.covariates.empty()) return 0;
    const bool fits = bundle.covariates.size() == 2 && bundle.covariates[0].name == "behavior" &&
                      bundle.covariates[1] == Axis{"pupil", 2, bundle.covariates[1].unit};
    TWINSCREEN_REQUIRE(fits, data,
                       "bundle '{}': a sensorium twin has no covariates, or 'behavior' and "
                       "'pupil' (extent 2)",
                       bundle.spec.name);
    return bundle.covariates[0].extent;
}

void require_mouse_shapes(const BundleDescription& bundle)
{
    const Shape input{1, mouse_height, mouse_width};
    TWINSCREEN_REQUIRE(bundle.transform.row_shape() == input && !bundle.transform.channels_last,
                       data,
                       "bundle '{}': a sensorium twin takes grey images {}, twin.toml "
                       "declares {}",
                       bundle.spec.name, input.text(), bundle.transform.row_shape().text());
    TWINSCREEN_REQUIRE(bundle.networks.size() == 1, data,
                       "bundle '{}': holds {} networks, a sensorium twin has 1", bundle.spec.name,
                       bundle.networks.size());
    const NetworkEntry& entry = bundle.networks[0];
    const Shape tap{mouse_tap_height, mouse_tap_width, mouse_channels};
    TWINSCREEN_REQUIRE(
        entry.readout == "gaussian" && entry.tap_row == tap && entry.prefix.empty(), data,
        "bundle '{}': a sensorium network has readout 'gaussian', prefix '' "
        "and tap {}, twin.toml declares '{}', '{}' and {}",
        bundle.spec.name, tap.text(), entry.readout, entry.prefix, entry.tap_row.text());
}

}  // namespace

std::vector<TwinPart> sensorium_parts(const BundleDescription& bundle, const WeightReader& weights,
                                      Precision precision)
{
    require_mouse_shapes(bundle);
    const std::int64_t planes = behaviour_channels(bundle);
    MouseWeights network =
        read_mouse_network(weights, bundle.batch_norm_epsilon, bundle.hidden_elu, planes);
    std::optional<PupilShifter> shifter;
    if (planes > 0) shifter = read_shifter(weights);
    const std::string digest = digest_of(network, shifter, bundle, precision);
    std::vector<TwinPart> parts(1);
    parts[0].backbone = shared_backbone(digest, [&] {
        return std::make_shared<MouseBackbone>(std::move(network), std::move(shifter), bundle,
                                               digest, precision);
    });
    parts[0].readout =
        gaussian_readout(read_gaussian(weights, bundle.networks[0].units, planes > 0));
    return parts;
}

}  // namespace twinscreen
