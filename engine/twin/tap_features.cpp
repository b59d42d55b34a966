#include "engine/twin/tap_features.hpp"

#include "engine/config/section.hpp"

namespace twinscreen {

std::string TapFeatures::text() const
{
    std::string result = "all values";
    if (pool == Pool::mean) result = "means over pixels";
    if (pool == Pool::grid) result = fmt::format("means of {} x {} cells", grid, grid);
    if (projected > 0) result += fmt::format(", projected to {} (draw {})", projected, draw);
    return result;
}

TapFeatures read_tap_features(ConfigSection& section)
{
    TapFeatures features;
    if (section.has("tap_pool") && !section.holds_text("tap_pool")) {
        features.pool = TapFeatures::Pool::grid;
        features.grid = section.require<std::int64_t>("tap_pool", "cells along each side",
                                                      in_range<std::int64_t>(1, 1024));
    } else if (section.one_of("tap_pool", "none", {"none", "mean"}) == "mean") {
        features.pool = TapFeatures::Pool::mean;
    }
    features.projected = section.get_or<std::int64_t>("tap_project", 0, "features",
                                                      in_range<std::int64_t>(4, 1 << 24));
    features.draw = static_cast<std::uint64_t>(section.get_or<std::int64_t>(
        "tap_project_draw", 0, "", in_range<std::int64_t>(0, 1 << 30)));
    return features;
}

}  // namespace twinscreen
