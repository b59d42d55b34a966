#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/base/table.hpp"

namespace twinscreen {

/// The map that features are the values of, [channels, height, width] in row-major order.
struct MapShape {
    std::int64_t channels = 0;
    std::int64_t height = 0;
    std::int64_t width = 0;
    std::int64_t pixels() const { return height * width; }
};

/// Features that one readout is fitted on: columns of a table of features.
struct FeatureSet {
    std::string twin;
    std::string subject;
    std::string area;  ///< the tap; "all" where several areas are taken together
    std::vector<std::uint32_t> columns;
    std::vector<std::uint32_t> band;  ///< of each column: number of its area within the set
    std::vector<std::string> bands;   ///< their names, "TWIN AREA"
    std::optional<MapShape> map;      ///< where the features are all values of one
    bool is_untrained = false;
    std::optional<std::size_t> untrained;  ///< number of the set with the same taps, untrained
};

/// One set per (twin, subject, area), in order of appearance; or, together, one set of all twins as
/// they are and one of the untrained ones.
///
/// units      with columns twin, subject and area, as a forward pass has them
/// untrained  names of untrained twins, with the name of the trained twin of each
std::vector<FeatureSet> feature_sets(
    const Table& units, const std::vector<std::pair<std::string, std::string>>& untrained,
    bool together);

/// The columns of a set out of rows of all features [rows, all] as [rows, set].
std::vector<double> gathered(const FeatureSet& set, std::span<const float> rows, std::size_t all);

}  // namespace twinscreen
