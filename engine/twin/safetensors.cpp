#include "engine/twin/safetensors.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <optional>
#include <utility>

#include "engine/base/error.hpp"
#include "engine/twin/limits.hpp"
#include "engine/twin/model_format.hpp"
#include "engine/twin/strict_json.hpp"

namespace twinscreen {

static_assert(std::endian::native == std::endian::little, "tensor files are little-endian");

namespace {

using Json = nlohmann::json;

std::optional<ElementType> element_type_named(const std::string& name)
{
    static const std::map<std::string, ElementType> known = {
        {"U8", ElementType::u8},   {"I32", ElementType::i32}, {"I64", ElementType::i64},
        {"U64", ElementType::u64}, {"F16", ElementType::f16}, {"BF16", ElementType::bf16},
        {"F32", ElementType::f32}, {"F64", ElementType::f64},
    };
    const auto found = known.find(name);
    return found == known.end() ? std::nullopt : std::optional<ElementType>(found->second);
}

/// A list of at most `most` integers that are not negative.
std::vector<std::uint64_t> integers(const Json& entry, const char* key, const std::string& who,
                                    std::size_t most)
{
    const auto found = entry.find(key);
    TWINSCREEN_REQUIRE(found != entry.end() && found->is_array() && found->size() <= most, data,
                       "{}: {} is not a list of at most {} numbers", who, key, most);
    std::vector<std::uint64_t> values;
    for (const Json& value : *found) {
        TWINSCREEN_REQUIRE(value.is_number_unsigned(), data,
                           "{}: {} holds something else than integers >= 0", who, key);
        values.push_back(value.get<std::uint64_t>());
    }
    return values;
}

TensorView parse_tensor(const std::string& who, const Json& entry, std::span<const std::byte> data)
{
    TWINSCREEN_REQUIRE(entry.is_object(), data, "{}: its entry is not a JSON object", who);
    const auto type_name = entry.find("dtype");
    TWINSCREEN_REQUIRE(type_name != entry.end() && type_name->is_string(), data,
                       "{}: dtype is not a text", who);
    const auto type = element_type_named(type_name->get<std::string>());
    TWINSCREEN_REQUIRE(type.has_value(), data,
                       "{}: element type {} is not supported (supported: U8, I32, I64, U64, F16, "
                       "BF16, F32, F64)",
                       who, type_name->get<std::string>());
    TensorView view;
    view.type = *type;
    std::uint64_t size = bytes_of(*type);
    for (const std::uint64_t extent : integers(entry, "shape", who, most_tensor_axes)) {
        TWINSCREEN_REQUIRE(extent == 0 || size <= std::numeric_limits<std::int64_t>::max() / extent,
                           data, "{}: its shape overflows", who);
        size *= extent;
        TWINSCREEN_REQUIRE(extent <= std::numeric_limits<std::int64_t>::max(), data,
                           "{}: its shape overflows", who);
        view.shape.push_back(static_cast<std::int64_t>(extent));
    }
    const auto offsets = integers(entry, "data_offsets", who, 2);
    TWINSCREEN_REQUIRE(offsets.size() == 2 && offsets[0] <= offsets[1], data,
                       "{}: data_offsets is not [begin, end]", who);
    TWINSCREEN_REQUIRE(offsets[1] <= data.size(), data,
                       "{}: ends at byte {} of the data, the file holds {} (truncated?)", who,
                       offsets[1], data.size());
    TWINSCREEN_REQUIRE(offsets[1] - offsets[0] == size, data,
                       "{}: shape {} of {} needs {} bytes, data_offsets gives {}", who,
                       view.shape_text(), name_of(*type), size, offsets[1] - offsets[0]);
    view.bytes = data.subspan(offsets[0], offsets[1] - offsets[0]);
    return view;
}

/// Tensors must cover the data once and leave no gap, as the format demands.
void require_exact_cover(const std::string& file,
                         const std::map<std::string, TensorView, std::less<>>& tensors,
                         std::span<const std::byte> data)
{
    std::vector<std::pair<const std::string*, std::span<const std::byte>>> parts;
    for (const auto& [name, view] : tensors)
        if (!view.bytes.empty()) parts.emplace_back(&name, view.bytes);
    std::sort(parts.begin(), parts.end(),
              [](const auto& a, const auto& b) { return a.second.data() < b.second.data(); });
    const std::byte* reached = data.data();
    for (const auto& [name, bytes] : parts) {
        TWINSCREEN_REQUIRE(bytes.data() >= reached, data, "{}: tensor '{}' overlaps another tensor",
                           file, *name);
        TWINSCREEN_REQUIRE(bytes.data() == reached, data,
                           "{}: {} bytes before tensor '{}' belong to no tensor", file,
                           bytes.data() - reached, *name);
        reached = bytes.data() + bytes.size();
    }
    TWINSCREEN_REQUIRE(reached == data.data() + data.size(), data,
                       "{}: the last {} bytes belong to no tensor", file,
                       data.data() + data.size() - reached);
}

}  // namespace

std::int64_t TensorView::count() const noexcept
{
    std::int64_t product = 1;
    for (const std::int64_t extent : shape) product *= extent;
    return product;
}

std::string TensorView::shape_text() const { return fmt::format("[{}]", fmt::join(shape, ", ")); }

SafetensorsFile::SafetensorsFile(const std::filesystem::path& file)
    : SafetensorsFile(read_whole(ReadFile(file), any_size))
{
}

SafetensorsFile::SafetensorsFile(FileContent file) : file_(std::move(file))
{
    const std::string name = path().string();
    const std::span<const std::byte> bytes = this->bytes();
    if (const auto format = foreign_model(bytes))
        throw Error(Error::Kind::data, fmt::format("{} {}", name, refusal_of(*format)),
                    convert_hint);
    TWINSCREEN_REQUIRE(bytes.size() >= 8, data,
                       "{}: holds {} bytes, a safetensors file at least 8 (empty or truncated?)",
                       name, bytes.size());
    std::uint64_t header_bytes = 0;
    std::memcpy(&header_bytes, bytes.data(), sizeof(header_bytes));
    TWINSCREEN_REQUIRE(header_bytes <= largest_tensor_header, data,
                       "{}: claims a header of {} bytes, at most {} are read (is it a safetensors "
                       "file?)",
                       name, header_bytes, largest_tensor_header);
    TWINSCREEN_REQUIRE(header_bytes <= bytes.size() - 8, data,
                       "{}: claims a header of {} bytes, the file holds {} (truncated?)", name,
                       header_bytes, bytes.size() - 8);
    const std::string_view text(reinterpret_cast<const char*>(bytes.data() + 8), header_bytes);
    data_ = bytes.subspan(8 + header_bytes);
    const Json header = parse_strict_json(name + ": the header", text,
                                          {deepest_tensor_header, most_tensors, "tensors"});
    for (const auto& [key, entry] : header.items()) {
        if (key == "__metadata__") {
            TWINSCREEN_REQUIRE(entry.is_object(), data, "{}: __metadata__ is not a JSON object",
                               name);
            for (const auto& [property, value] : entry.items()) {
                TWINSCREEN_REQUIRE(value.is_string(), data, "{}: __metadata__.{} is not a text",
                                   name, property);
                metadata_.emplace(property, value.get<std::string>());
            }
            continue;
        }
        TWINSCREEN_REQUIRE(key.size() <= longest_tensor_name, data,
                           "{}: a tensor has a name of {} bytes, '{}...' (at most {})", name,
                           key.size(), key.substr(0, 64), longest_tensor_name);
        tensors_.emplace(key,
                         parse_tensor(fmt::format("{}: tensor '{}'", name, key), entry, data_));
    }
    require_exact_cover(name, tensors_, data_);
}

}  // namespace twinscreen
