#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace twinscreen {

/// Points in a plane whose distances are near to given ones.
struct PlaneMap {
    std::vector<double> points;  ///< [objects, 2], about their mean
    double stress = 0.0;         ///< sum over pairs of the squared misfit of the distance
};

/// Metric multidimensional scaling by majorisation (SMACOF; Borg & Groenen 2005): from `starts`
/// random starts the map of the least stress. A start ends after 1000 steps, or when stress over
/// the sum of the lengths of the points falls by less than 1e-3, with distances scaled to a mean of
/// 1: the rule does not depend on their unit. Maps are defined up to rotation and reflection:
/// compare distances, not coordinates.
///
/// distances  [objects, objects]  symmetric, not negative, 0 on the diagonal
/// item       tells maps of one seed apart (draws at stream map_start)
PlaneMap map_in_plane(std::span<const double> distances, std::size_t objects, std::uint64_t seed,
                      std::uint32_t item, std::uint32_t starts = 10);

}  // namespace twinscreen
