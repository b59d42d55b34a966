#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

namespace twinscreen::detail {

/// Most values and dotted keys inside each other; campaigns need about four.
inline constexpr std::size_t deepest_nesting = 64;

/// Offset where a TOML text is first nested deeper than that. The parser and every walk over its
/// tree recurse, so an unlimited file could exhaust the stack.
///
/// Follows strings, comments, brackets and dots just far enough for that; mistakes are left to the
/// parser.
std::optional<std::size_t> first_too_deep(std::string_view text);

}  // namespace twinscreen::detail
