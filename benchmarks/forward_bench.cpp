// Forward passes of every twin family at its compute batch, against the same networks run layer by
// layer as published: batch norm, activation and readout as separate LibTorch calls on 32 images.
// forward_bench BUNDLES prints one JSON object a line.

#include <algorithm>
#include <filesystem>
#include <functional>
#include <vector>

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>
#include <malloc.h>

#include "benchmarks/bench_support.hpp"
#include "engine/config/section.hpp"
#include "engine/device/executor.hpp"
#include "engine/twin/bundle.hpp"
#include "engine/twin/safetensors.hpp"
#include "engine/twin/torch_tools.hpp"

namespace twinscreen {
namespace {

constexpr std::int64_t published_batch = 32;
constexpr int repeats = 5;

/// One network exactly as its publication lists the layers.
class PublishedForm {
public:
    explicit PublishedForm(const std::filesystem::path& weights) : file_(weights) {}

    at::Tensor read(const std::string& name) const
    {
        const TensorView& view = file_.tensors().at(name);
        return at::from_blob(const_cast<std::byte*>(view.bytes.data()), view.shape,
                             at::TensorOptions().dtype(at::kFloat))
            .clone();
    }
    bool has(const std::string& name) const { return file_.tensors().count(name) > 0; }

private:
    SafetensorsFile file_;
};

/// A forward pass [rows, ...] -> [rows, units].
using Network = std::function<at::Tensor(const at::Tensor&)>;

struct Norm {
    at::Tensor weight, bias, mean, variance;
    double epsilon;
    at::Tensor operator()(const at::Tensor& x) const
    {
        return at::batch_norm(x, weight, bias, mean, variance, false, 0.1, epsilon, false);
    }
};

Network published_v4(const PublishedForm& w, const std::string& prefix)
{
    struct Layer {
        at::Tensor depthwise, pointwise, bias;
        Norm norm;
    };
    const auto hwio = [&](const std::string& name) {
        return w.read(prefix + name).permute({3, 2, 0, 1}).contiguous();
    };
    const auto norm = [&](const std::string& layer) {
        return Norm{w.read(prefix + layer + "bn.gamma"), w.read(prefix + layer + "bn.beta"),
                    w.read(prefix + layer + "bn.mean"), w.read(prefix + layer + "bn.var"), 1e-3};
    };
    const at::Tensor first = hwio("layer0.conv.kernel");
    const at::Tensor first_bias = w.read(prefix + "layer0.conv.bias");
    const Norm first_norm = norm("layer0.");
    std::vector<Layer> layers;
    for (int number = 1; number <= 4; ++number) {
        const std::string layer = fmt::format("layer{}.", number);
        layers.push_back(
            {w.read(prefix + layer + "sep.depthwise").permute({2, 3, 0, 1}).contiguous(),
             hwio(layer + "sep.pointwise"), w.read(prefix + layer + "sep.bias"), norm(layer)});
    }
    const bool shared = w.has(prefix + "mixing.kernel");
    const at::Tensor mixing = shared ? hwio("mixing.kernel") : w.read(prefix + "readout.kernel");
    const at::Tensor mixing_bias = w.read(prefix + (shared ? "mixing.bias" : "readout.bias"));
    const at::Tensor pool =
        shared ? w.read(prefix + "spatial_pool.kernel").permute({2, 3, 0, 1}).contiguous()
               : at::Tensor();
    const at::Tensor pool_bias = shared ? w.read(prefix + "spatial_pool.bias") : at::Tensor();
    return [=](const at::Tensor& images) {
        at::Tensor x = images.permute({0, 3, 1, 2}).contiguous();
        x = at::relu(first_norm(at::conv2d(x, first, first_bias, at::IntArrayRef({1, 1}), "same")));
        for (std::size_t i = 0; i < layers.size(); ++i) {
            const std::int64_t stride = i < 2 ? 2 : 1;
            const std::int64_t before = i < 2 ? 1 : 2;
            x = at::conv2d(at::constant_pad_nd(x, {before, 2, before, 2}), layers[i].depthwise,
                           std::nullopt, at::IntArrayRef({stride, stride}), at::IntArrayRef({0, 0}),
                           at::IntArrayRef({1, 1}), x.size(1));
            x = at::relu(layers[i].norm(at::conv2d(x, layers[i].pointwise, layers[i].bias)));
        }
        if (!shared)
            return at::addmm(mixing_bias, x.permute({0, 2, 3, 1}).reshape({x.size(0), -1}), mixing);
        x = at::conv2d(x, mixing, mixing_bias);
        return at::conv2d(x, pool, pool_bias, at::IntArrayRef({1, 1}), at::IntArrayRef({0, 0}),
                          at::IntArrayRef({1, 1}), x.size(1))
            .flatten(1);
    };
}

Network published_mouse(const PublishedForm& w, bool elu)
{
    struct Block {
        at::Tensor before, depthwise, after;
        Norm norm;
    };
    const auto norm = [&](int layer) {
        const std::string name = fmt::format("core.features.layer{}.norm.", layer);
        return Norm{w.read(name + "weight"), w.read(name + "bias"), w.read(name + "running_mean"),
                    w.read(name + "running_var"), 1e-5};
    };
    const at::Tensor first = w.read("core.features.layer0.conv.weight");
    const Norm first_norm = norm(0);
    std::vector<Block> blocks;
    for (int number = 1; w.has(fmt::format("core.features.layer{}.norm.weight", number));
         ++number) {
        const std::string name = fmt::format("core.features.layer{}.ds_conv.", number);
        blocks.push_back({w.read(name + "in_depth_conv.weight"),
                          w.read(name + "spatial_conv.weight"),
                          w.read(name + "out_depth_conv.weight"), norm(number)});
    }
    const at::Tensor places = w.read("readout.source_grid");
    const at::Tensor hidden = at::elu(at::addmm(w.read("readout.mu_transform.0.bias"), places,
                                                w.read("readout.mu_transform.0.weight").t()));
    const at::Tensor grid = at::tanh(at::addmm(w.read("readout.mu_transform.2.bias"), hidden,
                                               w.read("readout.mu_transform.2.weight").t()))
                                .clamp(-1, 1)
                                .view({1, -1, 1, 2});
    const at::Tensor features = w.read("readout._features").view({1, 64, -1});
    const at::Tensor bias = w.read("readout.bias");
    return [=](const at::Tensor& images) {
        const auto active = [&](const at::Tensor& x) { return elu ? at::elu(x) : x; };
        at::Tensor x = active(first_norm(at::conv2d(images, first)));
        for (const Block& block : blocks) {
            x = at::conv2d(x, block.before);
            x = at::conv2d(x, block.depthwise, std::nullopt, at::IntArrayRef({1, 1}),
                           at::IntArrayRef({3, 3}), at::IntArrayRef({1, 1}), 64);
            x = active(block.norm(at::conv2d(x, block.after)));
        }
        const at::Tensor samples =
            at::grid_sampler(x, grid.expand({x.size(0), -1, -1, -1}), 0, 0, true).squeeze(-1);
        return at::elu((samples * features).sum(1) + bias) + 1.0;
    };
}

/// The allocator as glibc sets itself up in any process with large arrays: blocks above 32 MiB are
/// mapped afresh every time. `set_compute_threads` keeps them; the published form goes without.
void use_default_allocator()
{
    mallopt(M_MMAP_THRESHOLD, 32 << 20);
    mallopt(M_TRIM_THRESHOLD, 64 << 20);
}

/// All networks of a twin on one batch at its compute batch; the last response goes to `out`.
void run_twin(Twin& twin, const std::vector<float>& rows, std::int64_t count, Executor& executor,
              std::vector<OwnedBatch>& out)
{
    const Shape row = twin.parts.front().backbone->input().row_shape();
    out.clear();
    for (TwinPart& part : twin.parts) {
        const std::int64_t batch = part.backbone->compute_batch();
        out.emplace_back(ElementType::f32, Shape{count, part.readout->outputs()});
        for (std::int64_t first = 0; first < count; first += batch) {
            const ConstBatch images(rows.data() + first * row.count(), ElementType::f32,
                                    row.with_rows(batch));
            const auto trace =
                part.backbone->forward({images, {}, part.readout->taps(), false}, executor);
            part.readout->apply(*trace, rows_of(out.back().view(), first, batch), executor);
        }
    }
}

struct Case {
    std::string name;
    Twin twin;
    std::vector<Network> published;  ///< one per part; empty where there is no published form
    double target;
};

void measure(Case& c, Executor& executor)
{
    const Shape row = c.twin.parts.front().backbone->input().row_shape();
    // As many images as the slower side needs for about a second.
    std::int64_t count = c.published.size() > 1 ? published_batch : 2 * published_batch;
    if (c.published.empty()) count = 16 * published_batch;
    std::vector<float> rows(static_cast<std::size_t>(count * row.count()));
    for (std::size_t i = 0; i < rows.size(); ++i)
        rows[i] = static_cast<float>(static_cast<double>(i * 2654435761U % 255U) - 127.0) / 2;
    std::vector<OwnedBatch> out;
    std::vector<double> ours, theirs, ratios;
    double worst = 0.0;
    run_twin(c.twin, rows, c.twin.parts[0].backbone->compute_batch(), executor, out);
    for (int repeat = 0; repeat < repeats; ++repeat) {
        set_compute_threads(1);
        ours.push_back(bench::seconds_of([&] { run_twin(c.twin, rows, count, executor, out); }));
        if (c.published.empty()) continue;
        use_default_allocator();
        const c10::InferenceMode no_graph;
        std::vector<at::Tensor> answers(c.published.size());
        theirs.push_back(bench::seconds_of([&] {
            for (std::int64_t first = 0; first < count; first += published_batch)
                for (std::size_t part = 0; part < c.published.size(); ++part)
                    answers[part] = c.published[part](
                        tensor_view(ConstBatch(rows.data() + first * row.count(), ElementType::f32,
                                               row.with_rows(published_batch))));
        }));
        ratios.push_back(theirs.back() / ours.back());
        for (std::size_t part = 0; part < answers.size(); ++part) {
            const at::Tensor found =
                tensor_view(out[part].view()).slice(0, count - published_batch);
            worst = std::max(
                worst,
                ((found - answers[part]).abs().max() / answers[part].abs().max()).item<double>());
        }
    }
    const auto rates = [&](std::vector<double> seconds) {
        for (double& value : seconds) value = static_cast<double>(count) / value;
        return bench::summary_of(std::move(seconds));
    };
    const auto tell = [&](const char* metric, const char* unit, const bench::Summary& value,
                          const bench::Target& target, const nlohmann::ordered_json& facts) {
        bench::report({"forward", c.name, metric, unit, value, target}, facts);
    };
    tell("images_per_second", "1/s", rates(ours), {},
         {{"batch", c.twin.parts[0].backbone->compute_batch()},
          {"images", count},
          {"repeats", repeats},
          {"threads", 1},
          {"networks", c.twin.parts.size()}});
    if (c.published.empty()) return;
    tell("published_images_per_second", "1/s", rates(theirs), {}, {{"batch", published_batch}});
    tell("speed_over_published", "x", bench::summary_of(ratios), bench::at_least(c.target),
         {{"largest_difference", worst}});
}

void run(const std::filesystem::path& bundles)
{
    set_compute_threads(1);
    const auto executor = make_host_executor();
    std::vector<Case> cases;
    for (const char* name : {"v4_shared_200", "v4_shared_25", "v4_190923"}) {
        Case c{name, load_bundle(bundles / name), {}, 4.0};
        const PublishedForm weights(bundles / name / "weights.safetensors");
        for (std::size_t part = 0; part < c.twin.parts.size(); ++part)
            c.published.push_back(published_v4(
                weights, c.twin.parts.size() > 1 ? fmt::format("neuron{}.", part) : ""));
        cases.push_back(std::move(c));
    }
    for (const char* name : {"mouse_cnn", "mouse_ln"}) {
        Case c{name, load_bundle(bundles / name), {}, 1.3};
        const PublishedForm weights(bundles / name / "weights.safetensors");
        c.published.push_back(published_mouse(weights, std::string(name) == "mouse_cnn"));
        cases.push_back(std::move(c));
    }
    ConfigDocument campaign =
        ConfigDocument::parse("family = \"gabor_energy\"\n", "gabor_energy", ".");
    ConfigSection section = campaign.root();
    cases.push_back({"gabor_energy", make_twin(section), {}, 0.0});
    for (Case& c : cases) measure(c, *executor);
}

}  // namespace
}  // namespace twinscreen

int main(int argc, char** argv)
{
    if (argc != 2) {
        fmt::print(stderr, "usage: forward_bench BUNDLES   (a folder with converted bundles)\n");
        return 2;
    }
    return twinscreen::bench::exit_code_of([&] { twinscreen::run(argv[1]); });
}
