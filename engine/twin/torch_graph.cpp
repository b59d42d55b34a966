#include <algorithm>
#include <map>

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include "engine/base/memory.hpp"
#include "engine/twin/backbone_cache.hpp"
#include "engine/twin/families.hpp"
#include "engine/twin/graph/program.hpp"
#include "engine/twin/network_readouts.hpp"
#include "engine/twin/tensor_trace.hpp"
#include "engine/twin/torch_tools.hpp"

namespace twinscreen {

namespace {

constexpr std::int64_t graph_batch = 8;

TapSpec tap_of(const GraphProgram::Value& value)
{
    // Maps are [channels, height, width]; a row of tokens is [tokens, features].
    return {value.name, shape_of(value.row), value.row.size() >= 3};
}

class GraphBackbone final : public Backbone {
public:
    GraphBackbone(std::unique_ptr<GraphProgram> program, InputTransform transform,
                  std::string digest)
        : program_(std::move(program)), transform_(std::move(transform)), digest_(std::move(digest))
    {
        for (const GraphProgram::Value& value : program_->values()) taps_.push_back(tap_of(value));
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
        return trace_of_values(images, wanted, values, request.keep_for_gradient);
    }

private:
    static std::vector<std::size_t> values_of(std::span<const TapId> taps)
    {
        std::vector<std::size_t> values;
        for (const TapId tap : taps) values.push_back(index_of(tap));
        return values;
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

}  // namespace

std::vector<TwinPart> graph_parts(const BundleDescription& bundle, const SafetensorsFile& tensors,
                                  Precision precision)
{
    const std::string& file = bundle.graph_file;
    const Graph graph = read_graph(file, bundle.graph_text);
    require_input(bundle, graph, file);
    auto program = std::make_unique<GraphProgram>(graph, file, tensors, readout_tensors(bundle),
                                                  precision, graph_batch);
    std::vector<TapSpec> known;
    for (const GraphProgram::Value& value : program->values()) known.push_back(tap_of(value));
    const std::vector<std::vector<TapId>> taps = taps_of_readouts(
        bundle, known, file, "graph", "is no node with a row of numbers per image");
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
