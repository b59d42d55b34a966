#pragma once

#include <cstdint>
#include <string>

namespace twinscreen {

class ConfigSection;

/// What becomes of the values of a tap before they count as features: pooled, then projected.
struct TapFeatures {
    enum class Pool {
        none,  ///< all values, in row-major order
        mean,  ///< the mean of each channel over all pixels (of each feature over all tokens)
        grid   ///< the mean of each channel in each cell of a grid over the map
    };
    Pool pool = Pool::none;
    std::int64_t grid = 0;       ///< cells along each side of the map, where they are pooled
    std::int64_t projected = 0;  ///< what is wider is projected to so many features; 0: never
    std::uint64_t draw = 0;      ///< number of the random projection

    /// "means of 4 x 4 cells, projected to 1024 (draw 0)"
    std::string text() const;
    friend bool operator==(const TapFeatures&, const TapFeatures&) = default;
};

/// The keys tap_pool ("none", "mean", or cells along each side), tap_project and tap_project_draw.
TapFeatures read_tap_features(ConfigSection& section);

}  // namespace twinscreen
