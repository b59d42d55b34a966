#include "experiments/recording.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "engine/base/digest.hpp"
#include "engine/stimulus/npy.hpp"
#include "kernels/half.hpp"

namespace twinscreen {
namespace {

/// Which axis of the file is which.
struct AxisOrder {
    std::size_t unit = 0;
    std::size_t item = 1;
};

AxisOrder order_of(const std::string& layout, const std::vector<std::uint64_t>& shape,
                   std::uint64_t items, const std::string& file)
{
    if (!layout.empty()) return layout.starts_with("units") ? AxisOrder{0, 1} : AxisOrder{1, 0};
    TWINSCREEN_REQUIRE(shape[0] != items || shape[1] != items, data,
                       "{}: both axes have {} entries; say which is which with layout = "
                       "\"units,items\" or \"items,units\"",
                       file, items);
    return shape[0] == items ? AxisOrder{1, 0} : AxisOrder{0, 1};
}

}  // namespace

std::vector<double> doubles_of(const std::vector<std::byte>& bytes, ElementType type)
{
    const auto convert = [&]<class T>(T, const auto& widened) {
        std::vector<double> values(bytes.size() / sizeof(T));
        for (std::size_t at = 0; at < values.size(); ++at) {
            T value;
            std::copy_n(bytes.data() + at * sizeof(T), sizeof(T),
                        reinterpret_cast<std::byte*>(&value));
            values[at] = widened(value);
        }
        return values;
    };
    const auto as_it_is = [](auto value) { return static_cast<double>(value); };
    switch (type) {
        case ElementType::u8: return convert(std::uint8_t{}, as_it_is);
        case ElementType::i32: return convert(std::int32_t{}, as_it_is);
        case ElementType::i64: return convert(std::int64_t{}, as_it_is);
        case ElementType::f16:
            return convert(std::uint16_t{}, [](std::uint16_t half) {
                return static_cast<double>(float_from_half(half));
            });
        case ElementType::f32: return convert(float{}, as_it_is);
        case ElementType::f64: return convert(double{}, as_it_is);
        case ElementType::u64:
        case ElementType::bf16: break;
    }
    throw Error(Error::Kind::internal, fmt::format("a recording of {}", name_of(type)));
}

Recording read_recording(const std::filesystem::path& path, const std::string& layout,
                         std::uint64_t items, Missing missing, const char* items_are)
{
    const ReadFile file(path);
    const ArrayHeader header = read_npy_header(file, Integers::take);
    require_complete(file, header);
    const std::string name = path.string();
    const std::size_t rank = header.shape.size();
    TWINSCREEN_REQUIRE(rank == 2 || rank == 3, data,
                       "{}: shape {} is not [units, items] or [units, items, repeats]", name,
                       header.shape_text());
    TWINSCREEN_REQUIRE(
        layout.empty() || std::ranges::count(layout, ',') + 1 == static_cast<std::ptrdiff_t>(rank),
        data, "{}: shape {} does not fit layout = \"{}\"", name, header.shape_text(), layout);
    constexpr std::uint64_t most_values = std::uint64_t{1} << 31U;
    TWINSCREEN_REQUIRE(header.values() <= most_values, data,
                       "{}: {} values are too many for a recording (at most 2^31)", name,
                       header.values());

    const AxisOrder order = order_of(layout, header.shape, items, name);
    Recording recording;
    recording.neurons = header.shape[order.unit];
    recording.items = header.shape[order.item];
    recording.repeats = rank == 3 ? header.shape[2] : 1;
    TWINSCREEN_REQUIRE(recording.neurons > 0 && recording.repeats > 0, data,
                       "{}: shape {} holds no responses", name, header.shape_text());
    TWINSCREEN_REQUIRE(recording.items == items, data,
                       "{}: shape {} holds responses to {} items, the campaign has {} {}", name,
                       header.shape_text(), recording.items, items, items_are);

    std::vector<std::byte> bytes(header.values() * bytes_of(header.type));
    file.read(header.offset, bytes);
    recording.digest = Digest{}.add_bytes(bytes).hex();
    const std::vector<double> values = doubles_of(bytes, header.type);
    recording.values.resize(values.size());
    for (std::size_t neuron = 0; neuron < recording.neurons; ++neuron)
        for (std::size_t item = 0; item < recording.items; ++item)
            for (std::size_t repeat = 0; repeat < recording.repeats; ++repeat) {
                const std::size_t row = order.unit == 0 ? neuron * recording.items + item
                                                        : item * recording.neurons + neuron;
                const double value = values[row * recording.repeats + repeat];
                TWINSCREEN_REQUIRE(
                    !std::isinf(value) &&
                        (recording.repeats > 1 || missing == Missing::keep || !std::isnan(value)),
                    data, "{}: the response of neuron {} to item {} is {}", name, neuron, item,
                    value);
                recording.values[(neuron * recording.items + item) * recording.repeats + repeat] =
                    value;
            }
    return recording;
}

}  // namespace twinscreen
