#include "engine/stimulus/npy.hpp"

#include <array>
#include <charconv>
#include <cstring>
#include <limits>
#include <optional>

#include "engine/base/error.hpp"
#include "engine/stimulus/limits.hpp"

namespace twinscreen {
namespace {

/// The dictionary of a header: {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }.
class HeaderParser {
public:
    HeaderParser(std::string_view text, std::string file) : text_(text), file_(std::move(file)) {}

    struct Result {
        std::optional<std::string> type;
        std::optional<bool> fortran_order;
        std::optional<std::vector<std::uint64_t>> shape;
    };

    Result parse()
    {
        Result result;
        expect('{');
        while (!accept('}')) {
            const std::string key = quoted();
            expect(':');
            if (key == "descr" && !result.type)
                result.type = quoted();
            else if (key == "fortran_order" && !result.fortran_order)
                result.fortran_order = truth();
            else if (key == "shape" && !result.shape)
                result.shape = tuple();
            else
                fail(fmt::format("unexpected key '{}'", key));
            if (!accept(',')) {
                expect('}');
                break;
            }
        }
        skip_space();
        if (at_ != text_.size()) fail("text after the dictionary");
        if (!result.type || !result.fortran_order || !result.shape) fail("a key is missing");
        return result;
    }

private:
    [[noreturn]] void fail(const std::string& reason) const
    {
        throw Error(
            Error::Kind::data,
            fmt::format("{}: the header of the npy file cannot be read ({})", file_, reason),
            "write the array again with numpy.save");
    }
    void skip_space()
    {
        while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n')) ++at_;
    }
    bool accept(char wanted)
    {
        skip_space();
        if (at_ >= text_.size() || text_[at_] != wanted) return false;
        ++at_;
        return true;
    }
    void expect(char wanted)
    {
        if (!accept(wanted)) fail(fmt::format("'{}' expected at character {}", wanted, at_));
    }
    std::string quoted()
    {
        skip_space();
        const char quote = at_ < text_.size() ? text_[at_] : '\0';
        if (quote != '\'' && quote != '"')
            fail(fmt::format("a text expected at character {}", at_));
        const auto end = text_.find(quote, at_ + 1);
        if (end == std::string_view::npos || end - at_ > 64) fail("a text does not end");
        std::string result(text_.substr(at_ + 1, end - at_ - 1));
        at_ = end + 1;
        return result;
    }
    bool truth()
    {
        skip_space();
        for (const auto& [word, value] :
             {std::pair<std::string_view, bool>{"True", true}, {"False", false}}) {
            if (text_.substr(at_, word.size()) != word) continue;
            at_ += word.size();
            return value;
        }
        fail("fortran_order is neither True nor False");
    }
    std::vector<std::uint64_t> tuple()
    {
        std::vector<std::uint64_t> result;
        expect('(');
        while (!accept(')')) {
            skip_space();
            std::uint64_t extent = 0;
            const char* end = text_.data() + text_.size();
            const auto [stopped, error] = std::from_chars(text_.data() + at_, end, extent);
            if (error != std::errc()) fail(fmt::format("a size expected at character {}", at_));
            at_ = static_cast<std::size_t>(stopped - text_.data());
            result.push_back(extent);
            if (result.size() > most_array_axes)
                fail(fmt::format("more than {} axes", most_array_axes));
            if (!accept(',')) {
                expect(')');
                break;
            }
        }
        return result;
    }

    std::string_view text_;
    std::string file_;
    std::size_t at_ = 0;
};

ElementType type_named(const std::string& descr, const std::string& file, Integers integers)
{
    const bool takes_integers = integers == Integers::take;
    if (takes_integers && descr == "<i4") return ElementType::i32;
    if (takes_integers && descr == "<i8") return ElementType::i64;
    if (descr == "|u1" || descr == "<u1" || descr == "u1") return ElementType::u8;
    if (descr == "<f2") return ElementType::f16;
    if (descr == "<f4") return ElementType::f32;
    if (descr == "<f8") return ElementType::f64;
    throw Error(
        Error::Kind::data,
        fmt::format("{} holds values of type '{}' (taken: uint8, {}float16, float32, float64, "
                    "little-endian)",
                    file, descr, takes_integers ? "int32, int64, " : ""),
        "convert it in numpy: numpy.save(file, array.astype('float32'))");
}

std::string descr_of(ElementType type)
{
    switch (type) {
        case ElementType::u8: return "|u1";
        case ElementType::f16: return "<f2";
        case ElementType::f32: return "<f4";
        case ElementType::f64: return "<f8";
        case ElementType::i32:
        case ElementType::i64:
        case ElementType::u64:
        case ElementType::bf16: break;
    }
    throw Error(Error::Kind::internal, fmt::format("no npy type for {}", name_of(type)));
}

}  // namespace

std::uint64_t ArrayHeader::values() const noexcept
{
    std::uint64_t product = 1;
    for (const std::uint64_t extent : shape) product *= extent;
    return product;
}

std::string ArrayHeader::shape_text() const
{
    std::string result = "[";
    for (std::size_t i = 0; i < shape.size(); ++i)
        result += fmt::format("{}{}", i > 0 ? ", " : "", shape[i]);
    return result + "]";
}

void require_complete(const ReadFile& file, const ArrayHeader& header)
{
    std::uint64_t bytes = bytes_of(header.type);
    bool overflows = false;
    for (const std::uint64_t extent : header.shape)
        overflows = overflows || __builtin_mul_overflow(bytes, extent, &bytes);
    std::uint64_t end = 0;
    overflows = overflows || __builtin_add_overflow(bytes, header.offset, &end);
    TWINSCREEN_REQUIRE(
        !overflows && end <= file.size(), data,
        "{} has {} bytes, too few for {} values of shape {}. The file is truncated or "
        "its header is wrong",
        file.path().string(), file.size(), name_of(header.type), header.shape_text());
}

ArrayHeader read_npy_header(const ReadFile& file, Integers integers)
{
    const std::string name = file.path().string();
    std::array<unsigned char, 12> start{};
    const std::size_t known = std::min<std::uint64_t>(start.size(), file.size());
    file.read(0, std::as_writable_bytes(std::span(start.data(), known)));
    TWINSCREEN_REQUIRE(known >= 10 && std::memcmp(start.data(), "\x93NUMPY", 6) == 0, data,
                       "{} is not a npy file (its first bytes say so)", name);
    const unsigned version = start[6];
    TWINSCREEN_REQUIRE(version >= 1 && version <= 3 && start[7] == 0, data,
                       "{} has npy format version {}.{} (known: 1.0, 2.0, 3.0)", name, version,
                       start[7]);
    std::uint64_t length = start[8] + 256U * start[9];
    if (version > 1)
        length += (std::uint64_t{start[10]} << 16U) + (std::uint64_t{start[11]} << 24U);
    ArrayHeader header;
    header.offset = (version == 1 ? 10U : 12U) + length;
    TWINSCREEN_REQUIRE(length <= longest_npy_header && header.offset <= file.size(), data,
                       "{}: the header of the npy file cannot be read (it says it has {} bytes)",
                       name, length);
    std::string text(length, '\0');
    file.read(header.offset - length, std::as_writable_bytes(std::span(text.data(), text.size())));
    const HeaderParser::Result parsed = HeaderParser(text, name).parse();
    header.type = type_named(*parsed.type, name, integers);
    header.shape = *parsed.shape;
    std::size_t long_axes = 0;
    for (const std::uint64_t extent : header.shape) long_axes += extent > 1 ? 1 : 0;
    TWINSCREEN_REQUIRE(!*parsed.fortran_order || long_axes <= 1, data,
                       "{} is stored in Fortran order (columns first), so its items are scattered. "
                       "Save it again with numpy.ascontiguousarray(array)",
                       name);
    require_complete(file, header);
    return header;
}

std::string npy_header_text(ElementType type, const std::vector<std::uint64_t>& shape)
{
    std::string tuple;
    for (const std::uint64_t extent : shape) tuple += fmt::format("{}, ", extent);
    std::string text = fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}), }}",
                                   descr_of(type), tuple);
    constexpr std::size_t prefix = 10;
    while ((prefix + text.size() + 1) % 64 != 0) text += ' ';
    text += '\n';
    std::string result("\x93NUMPY\x01\x00", 8);
    result += static_cast<char>(text.size() % 256);
    result += static_cast<char>(text.size() / 256);
    return result + text;
}

}  // namespace twinscreen
