#include <algorithm>
#include <map>

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/autograd.h>

#include "engine/base/memory.hpp"
#include "engine/twin/backbone_cache.hpp"
#include "engine/twin/families.hpp"
#include "engine/twin/field_readout.hpp"
#include "engine/twin/graph/program.hpp"
#include "engine/twin/tap_readout.hpp"
#include "engine/twin/tensor_trace.hpp"
#include "engine/twin/torch_readouts.hpp"
#include "engine/twin/torch_tools.hpp"

namespace twinscreen {

namespace {

constexpr std::int64_t graph_batch = 8;

Shape shape_of(const std::vector<std::int64_t>& extents)
{
    Shape shape;
    shape.rank = static_cast<int>(extents.size());
    std::copy(extents.begin(), extents.end(), shape.extent.begin());
    return shape;
}

class GraphBackbone final : public Backbone {
public:
    GraphBackbone(std::unique_ptr<GraphProgram> program, InputTransform transform,
                  std::string digest)
        : program_(std::move(program)), transform_(std::move(transform)), digest_(std::move(digest))
    {
        for (const GraphProgram::Value& value : program_->values())
            // Maps are [channels, height, width]; a row of tokens is [tokens, features].
            taps_.push_back({value.name, shape_of(value.row), value.row.size() >= 3});
    }

    const std::string& digest() const noexcept override { return digest_; }
    const InputTransform& input() const noexcept override { return transform_; }
    std::span<const Axis> covariates() const noexcept override { return {}; }
    std::span<const TapSpec> taps() const noexcept override { return taps_; }
    std::int64_t compute_batch() const noexcept override { return graph_batch; }
    std::size_t memory_bytes(std::span<const TapId> wanted) const override
    {
        return static_cast<std::size_t>(program_->constant_bytes() +
                                        program_->plan(values_of(wanted)).peak_bytes);
    }
    double macs_per_row(std::span<const TapId> wanted) const override
    {
        return program_->plan(values_of(wanted)).macs_per_row;
    }

    std::unique_ptr<Trace> forward(const ForwardRequest& request, Executor&) override
    {
        const std::vector<std::size_t> wanted = values_of(request.wanted);
        const c10::AutoGradMode with_graph(request.keep_for_gradient);
        at::Tensor images = tensor_view(request.stimuli);
        if (request.keep_for_gradient) images = images.clone().requires_grad_(true);
        const std::vector<at::Tensor> values = program_for(images).run(plan_for(wanted), images);
        TensorTrace::PullBack pull_back;
        if (request.keep_for_gradient)
            pull_back = [images, wanted, values](std::span<const TapGradient> cotangents) {
                return gradient(images, wanted, values, cotangents);
            };
        std::map<std::size_t, at::Tensor> taps;
        for (std::size_t i = 0; i < wanted.size(); ++i)
            // The caller's images need not live as long as the trace.
            taps.emplace(wanted[i], values[i].is_alias_of(images) ? values[i].clone() : values[i]);
        return std::make_unique<TensorTrace>(std::move(taps), std::move(pull_back));
    }

private:
    static std::vector<std::size_t> values_of(std::span<const TapId> taps)
    {
        std::vector<std::size_t> values;
        for (const TapId tap : taps) values.push_back(index_of(tap));
        return values;
    }

    static OwnedBatch gradient(const at::Tensor& images, const std::vector<std::size_t>& wanted,
                               const std::vector<at::Tensor>& values,
                               std::span<const TapGradient> cotangents)
    {
        std::vector<at::Tensor> of;
        std::vector<at::Tensor> given;
        for (const TapGradient& cotangent : cotangents) {
            const auto found = std::find(wanted.begin(), wanted.end(), index_of(cotangent.tap));
            TWINSCREEN_REQUIRE(found != wanted.end(), internal,
                               "a gradient at tap {}, which this pass did not compute",
                               index_of(cotangent.tap));
            const at::Tensor& value = values[static_cast<std::size_t>(found - wanted.begin())];
            if (!value.requires_grad()) continue;  // does not depend on the image
            of.push_back(value);
            given.push_back(
                tensor_view(cotangent.values.view()).view(value.sizes()).to(value.device()));
        }
        if (of.empty()) return batch_of(at::zeros_like(images));
        const at::Tensor result = torch::autograd::grad(of, {images}, given, /*retain_graph=*/true,
                                                        /*create_graph=*/false,
                                                        /*allow_unused=*/true)[0];
        return batch_of(result.defined() ? result : at::zeros_like(images));
    }

    const GraphProgram::Plan& plan_for(const std::vector<std::size_t>& wanted)
    {
        const auto known = plans_.find(wanted);
        if (known != plans_.end()) return known->second;
        return plans_.emplace(wanted, program_->plan(wanted)).first->second;
    }

    /// The program with its constants beside the images and of their type.
    const GraphProgram& program_for(const at::Tensor& images)
    {
        if (images.is_cpu()) return *program_;
        if (!on_device_) on_device_ = program_->on(images.device(), images.scalar_type());
        return *on_device_;
    }

    std::unique_ptr<GraphProgram> program_;
    std::unique_ptr<GraphProgram> on_device_;  // made when first needed
    InputTransform transform_;
    std::string digest_;
    std::vector<TapSpec> taps_;
    std::map<std::vector<std::size_t>, GraphProgram::Plan> plans_;
};

std::set<std::string> readout_tensors(const BundleDescription& bundle)
{
    std::set<std::string> names;
    for (const NetworkEntry& entry : bundle.networks) {
        if (entry.readout == "dense")
            for (const char* name : {"readout.kernel", "readout.bias"})
                names.insert(entry.prefix + name);
        if (is_field_readout(entry.readout))
            for (const std::string& name : field_tensors(entry)) names.insert(name);
    }
    return names;
}

/// The values that the readouts take, as taps of each network; all mistakes of twin.toml about them
/// at once.
std::vector<std::vector<TapId>> taps_of(const BundleDescription& bundle,
                                        const GraphProgram& program, const std::string& file)
{
    std::vector<std::vector<TapId>> taps;
    std::vector<std::string> known;
    for (const GraphProgram::Value& value : program.values()) known.push_back(value.name);
    std::string mistakes;
    for (const NetworkEntry& entry : bundle.networks) {
        taps.emplace_back();
        for (const NetworkTap& tap : entry.taps) {
            const auto found = std::find(known.begin(), known.end(), tap.name);
            if (found == known.end()) {
                const auto nearest = nearest_word(tap.name, known);
                mistakes += fmt::format(
                    "\n  tap '{}' is no node with a row of numbers per image{}", tap.name,
                    nearest ? fmt::format(" (did you mean '{}'?)", *nearest) : "");
                continue;
            }
            const auto number = static_cast<std::size_t>(found - known.begin());
            taps.back().push_back(TapId{static_cast<std::uint32_t>(number)});
            const Shape row = shape_of(program.values()[number].row);
            if (!(row == tap.row))
                mistakes += fmt::format("\n  tap '{}' has shape {}, twin.toml declares {}",
                                        tap.name, row.text(), tap.row.text());
        }
    }
    TWINSCREEN_REQUIRE(mistakes.empty(), data, "{}: the readouts do not fit the graph{}", file,
                       mistakes);
    return taps;
}

/// The bytes of the tensors that nodes take. Readouts have others: bundles that differ in these
/// share one backbone.
std::vector<std::span<const std::byte>> tensors_of_nodes(const Graph& graph,
                                                         const SafetensorsFile& tensors)
{
    std::set<std::string> names;
    for (const GraphNode& node : graph.nodes)
        for (const auto& [argument, values] : node.inputs)
            names.insert(values.names.begin(), values.names.end());
    std::vector<std::span<const std::byte>> bytes;
    for (const std::string& name : names) {
        const auto found = tensors.tensors().find(name);
        if (found != tensors.tensors().end()) bytes.push_back(found->second.bytes);
    }
    return bytes;
}

void require_input(const BundleDescription& bundle, const Graph& graph, const std::string& file)
{
    const Shape row = bundle.transform.row_shape();
    std::vector<Extent> expected = {{1, true}};
    for (int axis = 0; axis < row.rank; ++axis)
        expected.push_back({row.extent[static_cast<std::size_t>(axis)], false});
    TWINSCREEN_REQUIRE(graph.input_shape == expected, data,
                       "{}: the input has shape {}, [stimulus] of twin.toml makes {}", file,
                       shape_text(graph.input_shape), shape_text(expected));
}

std::unique_ptr<Readout> readout_of(const NetworkEntry& entry, const Backbone& backbone,
                                    std::span<const TapId> taps, const WeightReader& weights,
                                    Precision precision)
{
    if (is_field_readout(entry.readout)) return read_field_readout(entry, weights, precision, taps);
    if (entry.readout == "dense")
        return read_dense_readout(entry, backbone, taps, weights, precision);
    TWINSCREEN_REQUIRE(entry.units == entry.tap_row.count(), data,
                       "bundle '{}': tap '{}' has {} values, twin.toml declares {} units",
                       weights.bundle(), entry.tap, entry.tap_row.count(), entry.units);
    return tap_readout(backbone, taps[0], TapFeatures{}, precision);
}

}  // namespace

std::vector<TwinPart> graph_parts(const BundleDescription& bundle, const SafetensorsFile& tensors,
                                  Precision precision)
{
    const std::string& file = bundle.graph_file;
    const Graph graph = read_graph(file, bundle.graph_text);
    require_input(bundle, graph, file);
    auto program = std::make_unique<GraphProgram>(graph, file, tensors, readout_tensors(bundle),
                                                  precision, graph_batch);
    const std::vector<std::vector<TapId>> taps = taps_of(bundle, *program, file);
    std::vector<TapId> wanted;
    for (const std::vector<TapId>& of_network : taps)
        wanted.insert(wanted.end(), of_network.begin(), of_network.end());
    const std::string digest = backbone_digest(bundle.transform, precision, bundle.graph_text,
                                               tensors_of_nodes(graph, tensors));
    const std::shared_ptr<Backbone> backbone = shared_backbone(digest, [&] {
        return std::make_shared<GraphBackbone>(std::move(program), bundle.transform, digest);
    });
    require_memory(fmt::format("{}: {} rows", file, graph_batch),
                   static_cast<double>(backbone->memory_bytes(wanted)));
    std::vector<TwinPart> parts;
    const WeightReader reader(bundle.spec.name, tensors);
    for (std::size_t i = 0; i < taps.size(); ++i)
        parts.push_back(
            {backbone, readout_of(bundle.networks[i], *backbone, taps[i], reader, precision)});
    return parts;
}

}  // namespace twinscreen
