#pragma once

#include <cstdint>
#include <vector>

#include "engine/base/table.hpp"

namespace twinscreen {

/// How images are shown to people or animals.
struct TrialPlan {
    std::uint32_t images = 0;
    std::uint32_t repetitions = 6;   ///< of every image
    std::uint32_t runs = 10;         ///< the trials are spread over them, as evenly as may be
    std::uint32_t catch_trials = 5;  ///< in every run: something that asks for an answer
    double trial_s = 4.0;            ///< from one onset to the next [s]
};

/// The order of trials: all images once in random order, then again in another, cut into runs;
/// catch trials at random places of each run (stream trial_order, `item` tells tables of one seed
/// apart).
///
/// returns  columns run, trial (from 1), onset [s] in its run, image (1 .. images; 0: catch trial)
Table trial_table(const TrialPlan& plan, std::uint64_t seed, std::uint32_t item);

}  // namespace twinscreen
