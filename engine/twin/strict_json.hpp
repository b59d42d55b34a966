#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

namespace twinscreen {

/// What a JSON text may hold; counted while it is read, before it takes memory.
struct JsonLimits {
    std::size_t depth = 0;        ///< objects and lists inside each other
    std::size_t entries = 0;      ///< keys of the outermost object
    std::string_view entry_name;  ///< what such a key stands for: "tensors"
};

/// A JSON object. Throws Error(data) that begins with `who` for anything else, and for a key that
/// occurs twice in one object, which a plain parse hides.
nlohmann::json parse_strict_json(const std::string& who, std::string_view text,
                                 const JsonLimits& limits);

}  // namespace twinscreen
