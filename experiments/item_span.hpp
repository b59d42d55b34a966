#pragma once

#include <cstdint>
#include <string>

#include "engine/config/section.hpp"

namespace twinscreen {

/// Items first ... end - 1.
struct ItemSpan {
    std::uint64_t first = 0;
    std::uint64_t end = 0;
    std::uint64_t count() const { return end - first; }
};

/// `key = [first, end]`; empty where the key is absent. Mistakes are complained of.
ItemSpan read_item_span(ConfigSection& section, const std::string& key);

}  // namespace twinscreen
