#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

#include "engine/config/limits.hpp"

namespace twinscreen::detail {

/// Offset where a TOML text is first nested deeper than `deepest_nesting`. The parser and every
/// walk over its tree recurse, so an unlimited file could exhaust the stack.
///
/// Follows strings, comments, brackets and dots just far enough for that; mistakes are left to the
/// parser.
std::optional<std::size_t> first_too_deep(std::string_view text);

}  // namespace twinscreen::detail
