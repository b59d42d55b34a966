#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "tests/unit/twin_support.hpp"

namespace twinscreen::test {

/// A float tensor for a weights file.
struct SmallTensor {
    std::vector<std::int64_t> shape;
    std::vector<float> values;
};

/// Values that are the same in every run, in -0.5..0.5.
inline SmallTensor arbitrary(std::vector<std::int64_t> shape, unsigned seed)
{
    SmallTensor tensor{std::move(shape), {}};
    std::int64_t count = 1;
    for (const std::int64_t extent : tensor.shape) count *= extent;
    unsigned state = seed * 2654435761U + 1U;
    for (std::int64_t i = 0; i < count; ++i) {
        state = state * 1664525U + 1013904223U;
        tensor.values.push_back(static_cast<float>(state >> 8) / static_cast<float>(1U << 24) -
                                0.5F);
    }
    return tensor;
}

/// A graph bundle that a test changes and writes.
struct GraphBundle {
    nlohmann::json graph;
    std::map<std::string, SmallTensor> tensors;
    std::map<std::string, std::vector<std::int64_t>> indices;  ///< tensors of int64
    std::map<std::string, SmallTensor> samples;
    std::string networks;

    /// Adds a node; returns its name.
    std::string add(const std::string& name, const std::string& op, const nlohmann::json& inputs,
                    const nlohmann::json& attributes, const nlohmann::json& shape)
    {
        graph["nodes"].push_back({{"name", name},
                                  {"operator", op},
                                  {"inputs", inputs},
                                  {"attributes", attributes},
                                  {"shape", shape}});
        return name;
    }

    static std::string safetensors(
        const std::map<std::string, SmallTensor>& tensors,
        const std::map<std::string, std::vector<std::int64_t>>& indices = {})
    {
        nlohmann::json header = nlohmann::json::object();
        std::string data;
        for (const auto& [name, values] : indices) {
            const std::size_t first = data.size();
            data.append(reinterpret_cast<const char*>(values.data()),
                        values.size() * sizeof(std::int64_t));
            header[name] = {{"dtype", "I64"},
                            {"shape", {values.size()}},
                            {"data_offsets", {first, data.size()}}};
        }
        for (const auto& [name, tensor] : tensors) {
            const std::size_t first = data.size();
            data.append(reinterpret_cast<const char*>(tensor.values.data()),
                        tensor.values.size() * sizeof(float));
            header[name] = {
                {"dtype", "F32"}, {"shape", tensor.shape}, {"data_offsets", {first, data.size()}}};
        }
        const std::string text = header.dump();
        const std::uint64_t length = text.size();
        std::string bytes(sizeof(length), '\0');
        std::memcpy(bytes.data(), &length, sizeof(length));
        return bytes + text + data;
    }

    /// side  of the input [pixels]
    void write(const std::filesystem::path& folder, int units, int side = 8) const
    {
        std::filesystem::create_directories(folder);
        std::string toml =
            "format = 1\nname = \"small\"\nfamily = \"graph\"\nresponse_unit = \"\"\n"
            "licence = \"none\"\ncitation = \"none\"\nweights = \"weights.safetensors\"\n"
            "units = \"units.csv\"\ngraph = \"graph.json\"\nsamples = \"samples.safetensors\"\n" +
            networks;
        const auto fact = [&](const std::string& name, const std::string& value) {
            toml += "[stimulus." + name + "]\nvalue = " + value + "\nsource = \"test\"\n";
        };
        fact("channels", "3");
        fact("height", std::to_string(side));
        fact("width", std::to_string(side));
        fact("layout", "\"channels_first\"");
        fact("fit", "\"stretch\"");
        fact("filter", "\"pil_bilinear\"");
        fact("mean", "[127.5, 127.5, 127.5]");
        fact("scale", "[127.5, 127.5, 127.5]");
        fact("background", "127.5");
        fact("luminance_range", "\"0..255\"");
        fact("frame_rate", "\"none\"");
        fact("degrees_per_pixel", "\"unknown\"");
        std::string table = "id,subject,area,heldout_r,noise_ceiling,x,y\n";
        for (int unit = 0; unit < units; ++unit)
            table += fmt::format("unit{},small,logits,nan,nan,nan,nan\n", unit);
        write_text(folder / "twin.toml", toml);
        write_text(folder / "units.csv", table);
        write_text(folder / "graph.json", graph.dump());
        write_text(folder / "weights.safetensors", safetensors(tensors, indices));
        write_text(folder / "samples.safetensors", safetensors(samples));
    }
};

/// image [3, 8, 8] -> conv [4, 8, 8] -> norm -> relu -> mean over pixels [4] -> linear [2].
inline GraphBundle small_network()
{
    GraphBundle bundle;
    bundle.graph = {{"format", 1},
                    {"input", {{"name", "image"}, {"shape", {"batch", 3, 8, 8}}}},
                    {"nodes", nlohmann::json::array()},
                    {"outputs", {"logits"}}};
    bundle.tensors = {{"conv.weight", arbitrary({4, 3, 3, 3}, 1)},
                      {"conv.bias", arbitrary({4}, 2)},
                      {"norm.weight", arbitrary({4}, 3)},
                      {"norm.bias", arbitrary({4}, 4)},
                      {"norm.mean", arbitrary({4}, 5)},
                      {"norm.var", {{4}, {0.5F, 1.0F, 2.0F, 0.25F}}},
                      {"head.weight", arbitrary({2, 4}, 6)},
                      {"head.bias", arbitrary({2}, 7)}};
    bundle.add("conv", "conv2d",
               {{"input", "image"}, {"weight", "conv.weight"}, {"bias", "conv.bias"}},
               {{"stride", {1, 1}}, {"padding", {1, 1}}}, {"batch", 4, 8, 8});
    bundle.add("norm", "batch_norm",
               {{"input", "conv"},
                {"weight", "norm.weight"},
                {"bias", "norm.bias"},
                {"running_mean", "norm.mean"},
                {"running_var", "norm.var"}},
               {{"training", false}, {"momentum", 0.1}, {"eps", 1e-5}, {"cudnn_enabled", false}},
               {"batch", 4, 8, 8});
    bundle.add("relu", "relu", {{"self", "norm"}}, nlohmann::json::object(), {"batch", 4, 8, 8});
    bundle.add("pool", "mean.dim", {{"self", "relu"}}, {{"dim", {2, 3}}}, {"batch", 4});
    bundle.add("logits", "linear",
               {{"input", "pool"}, {"weight", "head.weight"}, {"bias", "head.bias"}},
               nlohmann::json::object(), {"batch", 2});
    bundle.networks =
        "[[networks]]\ntap = \"logits\"\ntap_shape = [2]\nreadout = \"identity\"\nunits = 2\n";
    bundle.samples = {{"input", arbitrary({2, 3, 8, 8}, 8)}, {"output.logits", {{2, 2}, {}}}};
    return bundle;
}

/// What the small network computes, from its formulas.
inline std::vector<double> small_network_by_hand(const GraphBundle& bundle,
                                                 const std::vector<double>& images)
{
    const auto value = [&](const char* name, std::size_t i) {
        return static_cast<double>(bundle.tensors.at(name).values.at(i));
    };
    std::vector<double> answers;
    for (std::size_t image = 0; image < images.size() / 192; ++image) {
        std::vector<double> pooled(4, 0.0);
        for (std::size_t channel = 0; channel < 4; ++channel)
            for (int y = 0; y < 8; ++y)
                for (int x = 0; x < 8; ++x) {
                    double sum = value("conv.bias", channel);
                    for (int c = 0; c < 3; ++c)
                        for (int dy = 0; dy < 3; ++dy)
                            for (int dx = 0; dx < 3; ++dx) {
                                const int at_y = y + dy - 1;
                                const int at_x = x + dx - 1;
                                if (at_y < 0 || at_y > 7 || at_x < 0 || at_x > 7) continue;
                                sum += images[image * 192 + std::size_t(c * 64 + at_y * 8 + at_x)] *
                                       value("conv.weight",
                                             channel * 27 + std::size_t(c * 9 + dy * 3 + dx));
                            }
                    const double normed = (sum - value("norm.mean", channel)) /
                                              std::sqrt(value("norm.var", channel) + 1e-5) *
                                              value("norm.weight", channel) +
                                          value("norm.bias", channel);
                    pooled[channel] += std::max(normed, 0.0) / 64.0;
                }
        for (std::size_t unit = 0; unit < 2; ++unit) {
            answers.push_back(value("head.bias", unit));
            for (std::size_t c = 0; c < 4; ++c)
                answers.back() += value("head.weight", unit * 4 + c) * pooled[c];
        }
    }
    return answers;
}

}  // namespace twinscreen::test
