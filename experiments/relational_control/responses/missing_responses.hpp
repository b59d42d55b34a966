#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "engine/run/experiment.hpp"
#include "experiments/relational_control/study/study.hpp"

namespace twinscreen {

/// Images that some populations have no response to, and the units that are why.
struct MissingResponses {
    std::vector<std::size_t> images;  ///< [populations] images without a usable response
    std::vector<std::int32_t> units;  ///< [units] images to which a unit is NaN or infinite

    /// Which population lacks responses to most images, and why, for messages.
    std::string worst(const Study& study) const;
};

/// "unit 'a/V1/3' is NaN or infinite for 60"; empty where none is.
///
/// counts  [some units] images, from `first_unit` of the table on
std::string missing_units(std::span<const std::int32_t> counts, const Table& units,
                          std::size_t first_unit = 0);

/// Independent. Of a finished stage of responses; `images` are all 0.
MissingResponses read_missing_responses(const Study& study, const StageHistory& history);

}  // namespace twinscreen
