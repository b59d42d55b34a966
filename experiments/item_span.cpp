#include "experiments/item_span.hpp"

#include <vector>

#include <fmt/ranges.h>

namespace twinscreen {

ItemSpan read_item_span(ConfigSection& section, const std::string& key)
{
    const auto ends = section.get_or<std::vector<std::int64_t>>(key, {}, "items");
    if (ends.empty()) return {};
    if (ends.size() != 2 || ends[0] < 0 || ends[1] < ends[0] + 2) {
        section.complain(
            key, fmt::format("{} = [{}] is not a range of items", key, fmt::join(ends, ", ")),
            "give the first item and the one after the last, at least 2 apart: "
            "[600, 1200]");
        return {};
    }
    return {static_cast<std::uint64_t>(ends[0]), static_cast<std::uint64_t>(ends[1])};
}

}  // namespace twinscreen
