#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "experiments/relational_control/search/set_search.hpp"
#include "tests/unit/pattern_support.hpp"

namespace twinscreen::searches {

using Ids = std::vector<std::uint32_t>;

/// 150 items; items 100 ... 119 have the same patterns in both areas, with large similarities;
/// patterns of the others are noise.
struct Study {
    patterns::Area first = patterns::made_area(150, 40, 0, 1.0, 2, 0);
    patterns::Area second = patterns::made_area(150, 40, 0, 1.0, 2, 1);
    std::vector<float> values;

    Study()
    {
        const patterns::Area planted = patterns::made_area(150, 40, 2, 0.3, 2, 0);
        for (std::size_t item = 100; item < 120; ++item)
            for (patterns::Area* area : {&first, &second})
                std::copy_n(planted.row(item), 40, area->row(item));
        values = patterns::stored_values({first, second});
    }
    StoredSimilarities stored() const { return {values.data(), 150, 2, 0, 1}; }
};

inline const Study& study()
{
    static const Study made;
    return made;
}

inline SearchSettings small_search(SearchMethod method, Objective objective)
{
    SearchSettings settings;
    settings.method = method;
    settings.objective = objective;
    settings.seed = 5;
    settings.chain = 3;
    settings.set_size = 10;
    settings.population = 20;
    settings.generations = 40;
    settings.start_temperature = 0.05;
    settings.cooling = 0.9;
    return settings;
}

inline double cost(Objective objective, double score)
{
    return objective == Objective::align ? -score : std::abs(score);
}

}  // namespace twinscreen::searches
