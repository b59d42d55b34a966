#include "experiments/relational_control/statistics/trend_tests.hpp"

#include <algorithm>
#include <cmath>

#include "engine/base/error.hpp"

namespace twinscreen {
namespace {

/// Slope of the least-squares line through all values on group numbers.
double slope_of(std::span<const GroupSum> groups)
{
    double count = 0.0;
    double place = 0.0;
    for (std::size_t group = 0; group < groups.size(); ++group) {
        count += groups[group].count;
        place += groups[group].count * static_cast<double>(group);
    }
    place /= count;
    double xy = 0.0;
    double xx = 0.0;
    for (std::size_t group = 0; group < groups.size(); ++group) {
        const double x = static_cast<double>(group) - place;
        xy += x * groups[group].sum;
        xx += x * x * groups[group].count;
    }
    return xy / xx;
}

}  // namespace

Trends trends_of(std::span<const GroupSum> groups, TrendDirection direction)
{
    TWINSCREEN_REQUIRE(groups.size() >= 2, internal, "a trend over {} groups", groups.size());
    constexpr double nan = std::numeric_limits<double>::quiet_NaN();
    if (std::ranges::any_of(groups, [](const GroupSum& group) { return std::isnan(group.mean()); }))
        return {nan, nan, nan};
    const double sign = direction == TrendDirection::falling ? 1.0 : -1.0;
    double ends = 0.0;
    double smallest_step = std::numeric_limits<double>::infinity();
    for (std::size_t group = 0; group + 1 < groups.size(); ++group) {
        const double step = sign * (groups[group].mean() - groups[group + 1].mean());
        ends += step;
        smallest_step = std::min(smallest_step, step);
    }
    return {ends, -sign * slope_of(groups), smallest_step};
}

TrendTests::TrendTests(std::span<const GroupSum> observed, TrendDirection tested)
    : direction(tested)
{
    for (const GroupSum& group : observed) group_means.push_back(group.mean());
    const Trends trends = trends_of(observed, direction);
    for (std::size_t trend = 0; trend < trend_count; ++trend) tests[trend].observed = trends[trend];
}

void TrendTests::add(std::span<const GroupSum> null_values)
{
    const Trends trends = trends_of(null_values, direction);
    for (std::size_t trend = 0; trend < trend_count; ++trend) tests[trend].add(trends[trend]);
}

void TrendTests::merge(const TrendTests& later)
{
    for (std::size_t trend = 0; trend < trend_count; ++trend)
        tests[trend].merge(later.tests[trend]);
}

}  // namespace twinscreen
