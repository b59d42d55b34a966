#pragma once

#include <cstdint>
#include <vector>

#include "engine/run/shard_scratch.hpp"
#include "experiments/relational_control/multivariate/agreement.hpp"
#include "experiments/relational_control/search/set_search.hpp"

namespace twinscreen {

/// The best set of every generation of a search.
struct Trajectory {
    std::vector<double> scores;        ///< [generations] agreement in the training subjects
    std::vector<double> test_scores;   ///< [generations] in the test subject; NaN without one
    std::vector<std::int32_t> images;  ///< [generations, images of a set]
};

/// Which areas a chain compares, and through whose eyes.
struct ChainViews {
    std::size_t pair = 0;
    std::size_t train = 0;  ///< view
    std::optional<std::size_t> test;
};

/// Runs a chain to its end, from its saved state where there is one; independent. The same bits
/// wherever it runs.
Trajectory run_search_chain(const SearchSettings& settings, const ChainViews& views,
                            const Agreement& agreement, ShardScratch& scratch, Executor& executor);

}  // namespace twinscreen
