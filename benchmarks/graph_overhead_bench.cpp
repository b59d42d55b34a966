// What it costs that a network is a list of operators: MobileNet v1 as a graph bundle against the
// same layers called from C++, both with batch norm folded into the convolutions.
// graph_overhead_bench BUNDLES prints one JSON object a line.

#include <algorithm>
#include <filesystem>
#include <vector>

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include "benchmarks/bench_support.hpp"
#include "engine/device/executor.hpp"
#include "engine/twin/bundle.hpp"
#include "engine/twin/safetensors.hpp"
#include "engine/twin/torch_tools.hpp"

namespace twinscreen {
namespace {

constexpr std::int64_t images = 8;
constexpr int repeats = 41;
constexpr double norm_epsilon = 1e-3;

/// MobileNet v1 as one would write it by hand (Howard et al. 2017), with TensorFlow's padding.
class HandWritten {
public:
    explicit HandWritten(const std::filesystem::path& weights) : file_(weights)
    {
        add("conv1", "kernel", 2);
        const std::vector<int> halved = {2, 4, 6, 12};
        for (int block = 1; block <= 13; ++block) {
            const bool is_halved = std::find(halved.begin(), halved.end(), block) != halved.end();
            add(fmt::format("conv_dw_{}", block), "depthwise_kernel", is_halved ? 2 : 1);
            add(fmt::format("conv_pw_{}", block), "kernel", 1);
        }
        head_ = read("conv_preds.kernel");
        head_bias_ = read("conv_preds.bias");
    }

    at::Tensor operator()(at::Tensor x) const
    {
        for (const Layer& layer : layers_) {
            if (layer.stride[0] == 2) x = at::constant_pad_nd(x, {0, 1, 0, 1});
            x = at::relu6(at::conv2d(x, layer.kernel, layer.bias, layer.stride, layer.padding,
                                     layer.dilation, layer.groups));
        }
        x = at::mean(x, {2, 3}, true);
        return at::conv2d(x, head_, head_bias_).flatten(1);
    }

private:
    struct Layer {
        at::Tensor kernel, bias;
        std::vector<std::int64_t> stride, padding, dilation;
        std::int64_t groups;
    };

    at::Tensor read(const std::string& name) const
    {
        const TensorView& view = file_.tensors().at(name);
        return at::from_blob(const_cast<std::byte*>(view.bytes.data()), view.shape,
                             at::TensorOptions().dtype(at::kFloat))
            .clone();
    }

    void add(const std::string& name, const std::string& kernel, std::int64_t stride)
    {
        const auto norm = [&](const char* part) {
            return read(name + "_bn." + part).to(at::kDouble);
        };
        const at::Tensor scale = norm("gamma") / at::sqrt(norm("moving_variance") + norm_epsilon);
        const at::Tensor raw = read(name + "." + kernel).to(at::kDouble);
        const std::int64_t side = stride == 2 || raw.size(2) == 1 ? 0 : 1;
        layers_.push_back({(raw * scale.view({-1, 1, 1, 1})).to(at::kFloat),
                           (norm("beta") - norm("moving_mean") * scale).to(at::kFloat),
                           {stride, stride},
                           {side, side},
                           {1, 1},
                           kernel == "depthwise_kernel" ? raw.size(0) : 1});
    }

    SafetensorsFile file_;
    std::vector<Layer> layers_;
    at::Tensor head_;
    at::Tensor head_bias_;
};

void run(const std::filesystem::path& bundles)
{
    set_compute_threads(1);
    const c10::NoGradGuard no_graph;
    const auto executor = make_host_executor();
    const std::filesystem::path folder = bundles / "mobilenet_v1";
    Twin twin = load_bundle(folder);
    const HandWritten by_hand(folder / "weights.safetensors");
    const Shape shape = twin.parts[0].backbone->input().row_shape().with_rows(images);
    OwnedBatch rows(ElementType::f32, shape);
    for (std::size_t i = 0; i < rows.values<float>().size(); ++i)
        rows.values<float>()[i] =
            static_cast<float>(static_cast<double>(i * 2654435761U % 255U) / 127.5 - 1.0);
    OwnedBatch ours(ElementType::f32, Shape{images, twin.parts[0].readout->outputs()});
    at::Tensor theirs;
    const auto graph_pass = [&] {
        const auto trace = twin.parts[0].backbone->forward(
            {rows.view(), {}, twin.parts[0].readout->taps(), false}, *executor);
        twin.parts[0].readout->apply(*trace, ours.view(), *executor);
    };
    const auto hand_pass = [&] { theirs = by_hand(tensor_view(rows.view())); };
    graph_pass();
    hand_pass();
    std::vector<double> ratios;
    for (int repeat = 0; repeat < repeats; ++repeat) {
        const bool is_first = repeat % 2 == 0;  // who goes first alternates
        const double early = bench::seconds_of(is_first ? std::function<void()>(graph_pass)
                                                        : std::function<void()>(hand_pass));
        const double late = bench::seconds_of(is_first ? std::function<void()>(hand_pass)
                                                       : std::function<void()>(graph_pass));
        ratios.push_back(is_first ? early / late : late / early);
    }
    const double difference =
        ((tensor_view(ours.view()) - theirs).abs().max() / theirs.abs().max()).item<double>();
    bench::report({"graph_overhead", "mobilenet_v1", "time_over_hand_written", "x",
                   bench::summary_of(ratios), bench::at_most(1.02)},
                  {{"batch", images},
                   {"repeats", repeats},
                   {"threads", 1},
                   {"largest_difference", difference}});
}

}  // namespace
}  // namespace twinscreen

int main(int argc, char** argv)
{
    if (argc != 2) {
        fmt::print(stderr, "usage: graph_overhead_bench BUNDLES   (with mobilenet_v1)\n");
        return 2;
    }
    return twinscreen::bench::exit_code_of([&] { twinscreen::run(argv[1]); });
}
