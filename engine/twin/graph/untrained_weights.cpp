#include "engine/twin/graph/untrained_weights.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <functional>
#include <map>
#include <optional>

#include "kernels/half.hpp"
#include "kernels/normal.hpp"

namespace twinscreen {
namespace {

/// Values of an untrained tensor: mean + spread * a normal draw.
struct Law {
    double mean = 0.0;
    double spread = 0.0;
};

std::int64_t product(const std::vector<std::int64_t>& shape, std::size_t first)
{
    std::int64_t count = 1;
    for (std::size_t axis = first; axis < shape.size(); ++axis) count *= shape[axis];
    return count;
}

Law he(std::int64_t inputs)
{
    return {0.0, std::sqrt(2.0 / static_cast<double>(std::max<std::int64_t>(inputs, 1)))};
}

bool is_norm(const std::string& op) { return op.find("norm") != std::string::npos; }

/// What an operator does with a tensor says how it is drawn; nothing for tensors that stay.
std::optional<Law> law_of(const std::string& op, const std::string& argument,
                          const TensorView& tensor)
{
    const std::vector<std::int64_t>& shape = tensor.shape;
    if (is_norm(op)) {
        const bool is_scale = argument == "weight" || argument == "running_var";
        return Law{is_scale ? 1.0 : 0.0, 0.0};
    }
    if (argument == "bias") return Law{};
    if (op == "addmm" && argument == "self") return Law{};
    if (shape.size() < 2) return std::nullopt;
    if (op.starts_with("conv_transpose")) return he(product(shape, 0) / shape[1]);
    if (argument == "weight") return he(product(shape, 1));
    if (argument == "other" || argument == "mat2" || argument == "batch2")
        if (op == "matmul" || op == "bmm" || op == "addmm" || op == "baddbmm")
            return he(shape[shape.size() - 2]);
    return Law{std::nan(""), std::nan("")};  // as its own values are spread
}

template <class T, class FromFloat, class ToFloat>
void redraw(std::span<std::byte> bytes, Law law, DrawAddress at, const FromFloat& from_float,
            const ToFloat& to_float)
{
    const std::size_t count = bytes.size() / sizeof(T);
    if (std::isnan(law.mean)) {
        double sum = 0.0;
        double squares = 0.0;
        for (std::size_t i = 0; i < count; ++i) {
            T value;
            std::memcpy(&value, bytes.data() + i * sizeof(T), sizeof(T));
            sum += to_float(value);
            squares += to_float(value) * to_float(value);
        }
        const auto values = static_cast<double>(std::max<std::size_t>(count, 1));
        law.mean = sum / values;
        law.spread = std::sqrt(std::max(squares / values - law.mean * law.mean, 0.0));
    }
    for (std::size_t i = 0; i < count; ++i) {
        at.item = i / 4;
        const double drawn = law.spread > 0.0 ? static_cast<double>(normal_draws(at)[i % 4]) : 0.0;
        const T value = from_float(law.mean + law.spread * drawn);
        std::memcpy(bytes.data() + i * sizeof(T), &value, sizeof(T));
    }
}

void redraw_tensor(ElementType type, std::span<std::byte> bytes, const Law& law,
                   const DrawAddress& at)
{
    const auto same = [](auto value) { return static_cast<double>(value); };
    if (type == ElementType::f32)
        redraw<float>(
            bytes, law, at, [](double value) { return static_cast<float>(value); }, same);
    else if (type == ElementType::f64)
        redraw<double>(
            bytes, law, at, [](double value) { return value; }, same);
    else if (type == ElementType::f16)
        redraw<std::uint16_t>(
            bytes, law, at, [](double value) { return to_half(static_cast<float>(value)); },
            [](std::uint16_t half) { return static_cast<double>(float_from_half(half)); });
    else if (type == ElementType::bf16)
        redraw<std::uint16_t>(
            bytes, law, at,
            [](double value) {
                return static_cast<std::uint16_t>(
                    std::bit_cast<std::uint32_t>(static_cast<float>(value)) >> 16U);
            },
            [](std::uint16_t half) {
                return static_cast<double>(std::bit_cast<float>(std::uint32_t{half} << 16U));
            });
}

}  // namespace

SafetensorsFile untrained_weights(const SafetensorsFile& trained, const Graph& graph,
                                  std::uint64_t draw)
{
    std::map<std::string, Law> laws;
    for (const GraphNode& node : graph.nodes)
        for (const auto& [argument, values] : node.inputs)
            for (const std::string& name : values.names) {
                const auto tensor = trained.tensors().find(name);
                if (tensor == trained.tensors().end()) continue;
                if (const auto law = law_of(node.op, argument, tensor->second))
                    laws.emplace(name, *law);
            }
    auto drawn =
        std::make_shared<std::vector<std::byte>>(trained.bytes().begin(), trained.bytes().end());
    std::uint32_t number = 0;
    for (const auto& [name, view] : trained.tensors()) {
        const DrawAddress at{draw, DrawStream::untrained_weights, 0, number++};
        const auto law = laws.find(name);
        if (law == laws.end()) continue;
        const auto offset = static_cast<std::size_t>(view.bytes.data() - trained.bytes().data());
        redraw_tensor(view.type, std::span(*drawn).subspan(offset, view.bytes.size()), law->second,
                      at);
    }
    return SafetensorsFile(FileContent{trained.path(), std::move(drawn)});
}

}  // namespace twinscreen
