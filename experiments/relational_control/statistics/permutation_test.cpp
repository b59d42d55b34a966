#include "experiments/relational_control/statistics/permutation_test.hpp"

#include <algorithm>
#include <cmath>

#include "engine/base/error.hpp"
#include "experiments/relational_control/statistics/group_statistics.hpp"

namespace twinscreen {

void PermutationTest::merge(const PermutationTest& later)
{
    const bool is_same =
        later.observed == observed || (std::isnan(later.observed) && std::isnan(observed));
    TWINSCREEN_REQUIRE(is_same && later.tail == tail, internal,
                       "a test of {} cannot be merged with one of {}", observed, later.observed);
    iterations += later.iterations;
    more_extreme += later.more_extreme;
    equal += later.equal;
    sum += later.sum;
    squares += later.squares;
}

double PermutationTest::p() const
{
    const bool is_known = !std::isnan(observed) && !std::isnan(sum);
    const bool says_something = tail == Tail::at_least || iterations == 0 || equal < iterations;
    return is_known && says_something ? permutation_p(more_extreme, iterations)
                                      : std::numeric_limits<double>::quiet_NaN();
}

double PermutationTest::sd() const
{
    if (iterations < 2) return std::numeric_limits<double>::quiet_NaN();
    const auto n = static_cast<double>(iterations);
    return std::sqrt(std::max(0.0, squares - sum * sum / n) / (n - 1.0));
}

}  // namespace twinscreen
