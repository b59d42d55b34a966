#pragma once

#include <cstdint>
#include <vector>

#include "engine/fit/gram.hpp"
#include "engine/run/experiment.hpp"
#include "experiments/relational_control/responses/missing_responses.hpp"

namespace twinscreen {

/// Normalised patterns of the images that have one in every population: items 0 ... items() - 1.
/// Memory that the system reads as it is looked at.
struct Patterns {
    const float* values = nullptr;  ///< [images, columns]
    std::size_t columns = 0;
    std::vector<std::uint32_t> images;  ///< [items] ascending
    MissingResponses missing;

    std::size_t items() const noexcept { return images.size(); }
    /// Rows of consecutive items of one population: where they lie if the images are consecutive,
    /// else copied into `room`.
    FloatRows rows(const Population& population, std::size_t first, std::size_t count,
                   std::vector<float>& room) const;
};

/// Independent. Valid until the history is closed.
Patterns read_patterns(const Study& study, const StageHistory& history);

/// Throws Error(data) where too few images have a pattern for the sets and their exchanges.
void require_items_for(const SearchSettings& search, const Patterns& patterns, const Study& study);

}  // namespace twinscreen
