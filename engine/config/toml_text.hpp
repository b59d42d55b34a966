#pragma once

#include <string>
#include <string_view>

namespace twinscreen {

/// A text as a TOML literal, with quotes.
std::string toml_text(std::string_view text);

}  // namespace twinscreen
