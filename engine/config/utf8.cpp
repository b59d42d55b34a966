#include "engine/config/utf8.hpp"

#include <algorithm>
#include <cstdint>
#include <vector>

namespace twinscreen::detail {

namespace {

constexpr std::size_t longest_line = 100;  // [code points] of a source line in a diagnostic
constexpr std::size_t longest_quote = 60;  // [code points] of a value in a message

std::uint8_t byte_at(std::string_view text, std::size_t offset)
{
    return static_cast<std::uint8_t>(text[offset]);
}

bool is_control(std::string_view code_point)
{
    const std::uint8_t first = byte_at(code_point, 0);
    // C1 controls are U+0080..U+009F: two bytes, the first 0xC2.
    return first < 0x20 || first == 0x7F ||
           (first == 0xC2 && code_point.size() == 2 && byte_at(code_point, 1) < 0xA0);
}

std::vector<std::string_view> code_points(std::string_view text)
{
    std::vector<std::string_view> points;
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t length = std::max<std::size_t>(utf8_length(text, at), 1);
        points.push_back(text.substr(at, length));
        at += length;
    }
    return points;
}

std::string_view shown(std::string_view code_point)
{
    if (utf8_length(code_point, 0) == 0 || is_control(code_point)) return "?";
    return code_point;
}

}  // namespace

std::size_t utf8_length(std::string_view text, std::size_t offset) noexcept
{
    const std::uint8_t first = byte_at(text, offset);
    if (first < 0x80) return 1;
    const std::size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
    if (first < 0xC2 || first > 0xF4 || offset + length > text.size()) return 0;
    for (std::size_t i = 1; i < length; ++i)
        if ((byte_at(text, offset + i) & 0xC0) != 0x80) return 0;
    const std::uint8_t second = byte_at(text, offset + 1);
    const bool overlong = (first == 0xE0 && second < 0xA0) || (first == 0xF0 && second < 0x90);
    const bool surrogate = first == 0xED && second >= 0xA0;
    const bool too_large = first == 0xF4 && second >= 0x90;
    return overlong || surrogate || too_large ? 0 : length;
}

std::size_t first_invalid_utf8(std::string_view text) noexcept
{
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t length = utf8_length(text, at);
        if (length == 0) return at;
        at += length;
    }
    return std::string_view::npos;
}

std::string printable(std::string_view text)
{
    std::string result;
    for (const std::string_view point : code_points(text)) result += shown(point);
    return result;
}

std::string quoted(std::string_view text)
{
    // Four bytes a code point at most: what lies beyond is cut anyway.
    const auto points = code_points(text.substr(0, 4 * longest_quote + 8));
    const std::size_t kept = points.size() <= longest_quote ? points.size() : longest_quote - 3;
    std::string result = "\"";
    for (std::size_t i = 0; i < kept; ++i) result += shown(points[i]);
    return result + (kept < points.size() ? "...\"" : "\"");
}

std::string with_caret(std::string_view line, std::size_t column, std::string_view margin,
                       std::string_view caret_margin)
{
    const auto points = code_points(line);
    const std::size_t caret = std::min(std::max<std::size_t>(column, 1) - 1, points.size());
    std::size_t first = 0;
    std::size_t end = points.size();
    if (points.size() > longest_line) {
        first = caret > longest_line / 2 ? caret - longest_line / 2 : 0;
        first = std::min(first, points.size() - longest_line);
        end = first + longest_line;
    }
    const std::string_view front = first > 0 ? "..." : "";
    std::string top = std::string(margin) + std::string(front);
    std::string below = std::string(caret_margin) + std::string(front.size(), ' ');
    for (std::size_t i = first; i < end; ++i) {
        const bool tab = points[i] == "\t";
        top += tab ? "\t" : shown(points[i]);
        if (i < caret) below += tab ? '\t' : ' ';
    }
    if (end < points.size()) top += "...";
    return top + "\n" + below + "^";
}

}  // namespace twinscreen::detail
