#include "engine/twin/safetensors.hpp"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <limits>
#include <optional>
#include <set>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

#include <nlohmann/json.hpp>

#include "engine/base/error.hpp"

namespace twinscreen {

static_assert(std::endian::native == std::endian::little, "tensor files are little-endian");

namespace {

using Json = nlohmann::json;

constexpr std::uint64_t largest_header = 100'000'000;  // [bytes], the limit of the format
constexpr std::size_t most_extents = 16;

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

/// The JSON header; a key that occurs twice at one level is an error, which a plain parse hides.
Json parse_header(const std::string& file, const char* first, const char* last)
{
    std::vector<std::set<std::string>> keys;
    std::string twice;
    const auto watch = [&](int, Json::parse_event_t event, Json& value) {
        if (event == Json::parse_event_t::object_start) keys.emplace_back();
        if (event == Json::parse_event_t::object_end && !keys.empty()) keys.pop_back();
        if (event == Json::parse_event_t::key && !keys.empty() &&
            !keys.back().insert(value.get<std::string>()).second)
            twice = value.get<std::string>();
        return true;
    };
    Json header;
    try {
        header = Json::parse(first, last, watch);
    } catch (const Json::exception& problem) {
        throw Error(Error::Kind::data,
                    fmt::format("{}: the header is not JSON ({})", file, problem.what()));
    }
    TWINSCREEN_REQUIRE(twice.empty(), data, "{}: the header names '{}' twice", file, twice);
    TWINSCREEN_REQUIRE(header.is_object(), data, "{}: the header is not a JSON object", file);
    return header;
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
    for (const std::uint64_t extent : integers(entry, "shape", who, most_extents)) {
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

/// A file mapped read-only, unmapped at the end.
class SafetensorsFile::Mapping {
public:
    explicit Mapping(const std::filesystem::path& file)
    {
        const int descriptor = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
        TWINSCREEN_REQUIRE(descriptor >= 0, data, "{}: cannot be opened ({})", file.string(),
                           std::strerror(errno));
        struct stat facts {};
        const bool regular = ::fstat(descriptor, &facts) == 0 && S_ISREG(facts.st_mode);
        if (regular && facts.st_size > 0) {
            size_ = static_cast<std::size_t>(facts.st_size);
            begin_ = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, descriptor, 0);
        }
        const int problem = errno;
        ::close(descriptor);
        TWINSCREEN_REQUIRE(regular, data, "{}: is not a regular file", file.string());
        TWINSCREEN_REQUIRE(begin_ != MAP_FAILED, data, "{}: cannot be mapped ({})", file.string(),
                           std::strerror(problem));
    }
    ~Mapping()
    {
        if (begin_ != nullptr && begin_ != MAP_FAILED) ::munmap(begin_, size_);
    }
    Mapping(const Mapping&) = delete;
    Mapping& operator=(const Mapping&) = delete;

    std::span<const std::byte> bytes() const noexcept
    {
        return {static_cast<const std::byte*>(begin_), size_};
    }

private:
    void* begin_ = nullptr;
    std::size_t size_ = 0;
};

std::int64_t TensorView::count() const noexcept
{
    std::int64_t product = 1;
    for (const std::int64_t extent : shape) product *= extent;
    return product;
}

std::string TensorView::shape_text() const { return fmt::format("[{}]", fmt::join(shape, ", ")); }

SafetensorsFile::SafetensorsFile(const std::filesystem::path& file)
    : path_(file), mapping_(std::make_unique<Mapping>(file))
{
    const std::string name = file.string();
    const std::span<const std::byte> bytes = mapping_->bytes();
    TWINSCREEN_REQUIRE(bytes.size() >= 8, data,
                       "{}: holds {} bytes, a safetensors file at least 8 (empty or truncated?)",
                       name, bytes.size());
    std::uint64_t header_bytes = 0;
    std::memcpy(&header_bytes, bytes.data(), sizeof(header_bytes));
    TWINSCREEN_REQUIRE(header_bytes <= largest_header, data,
                       "{}: claims a header of {} bytes, the format allows {} (is it a safetensors "
                       "file?)",
                       name, header_bytes, largest_header);
    TWINSCREEN_REQUIRE(header_bytes <= bytes.size() - 8, data,
                       "{}: claims a header of {} bytes, the file holds {} (truncated?)", name,
                       header_bytes, bytes.size() - 8);
    const char* text = reinterpret_cast<const char*>(bytes.data() + 8);
    data_ = bytes.subspan(8 + header_bytes);
    const Json header = parse_header(name, text, text + header_bytes);
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
        tensors_.emplace(key,
                         parse_tensor(fmt::format("{}: tensor '{}'", name, key), entry, data_));
    }
    require_exact_cover(name, tensors_, data_);
}

SafetensorsFile::~SafetensorsFile() = default;
SafetensorsFile::SafetensorsFile(SafetensorsFile&& other) noexcept = default;

}  // namespace twinscreen
