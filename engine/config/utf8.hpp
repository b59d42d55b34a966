#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace twinscreen::detail {

inline constexpr std::string_view utf8_byte_order_mark = "\xEF\xBB\xBF";

/// Bytes of the code point at `offset` (1..4); 0 where the bytes are not UTF-8.
std::size_t utf8_length(std::string_view text, std::size_t offset) noexcept;

/// Offset of the first byte that is not UTF-8; npos if all of it is.
std::size_t first_invalid_utf8(std::string_view text) noexcept;

/// The text for a terminal: control characters and bytes that are not UTF-8 become '?', so that a
/// file cannot move the cursor.
std::string printable(std::string_view text);

/// "abc" with quotes for a message: printable, cut after about 60 code points.
std::string quoted(std::string_view text);

/// A source line and a caret below it, both indented by `margin` and `caret_margin`. The column is
/// 1-based and counts code points; tabs are kept below tabs; a long line is cut around the caret.
std::string with_caret(std::string_view line, std::size_t column, std::string_view margin,
                       std::string_view caret_margin);

}  // namespace twinscreen::detail
