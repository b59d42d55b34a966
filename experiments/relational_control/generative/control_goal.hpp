#pragma once

#include <array>
#include <limits>

#include "experiments/relational_control/study/compat.hpp"
#include "experiments/relational_control/univariate/conditions.hpp"

namespace twinscreen {

/// What stands between pictures that miss a threshold and those that do not (Gifford et al. 2024).
inline constexpr double control_penalty = 1e10;

/// Mean responses that a picture should reach: at least the threshold where the condition wants an
/// area high, at most where it wants it low.
struct ControlGoal {
    ControlCondition condition = ControlCondition::both_high;
    std::array<double, 2> threshold{};
    std::array<double, 2> unit{1.0, 1.0};  ///< of both areas' responses, for control

    /// Thresholds lie `margin` beyond the baselines, in the condition's directions.
    ///
    /// unit  what the margin is counted in, area by area: 1, or the standard deviation of the
    ///       area's responses
    static ControlGoal beyond(ControlCondition condition, std::array<double, 2> baseline,
                              double margin, std::array<double, 2> unit = {1.0, 1.0})
    {
        ControlGoal goal{condition, baseline, unit};
        for (std::size_t side = 0; side < 2; ++side)
            goal.threshold[side] += (wants_high(condition, side) ? margin : -margin) * unit[side];
        return goal;
    }

    /// a + b where both areas are wanted alike, else the difference in the wanted direction; large
    /// is good, but in both_low.
    double control(const std::array<double, 2>& response) const
    {
        const double first = response[0] / unit[0], second = response[1] / unit[1];
        switch (condition) {
            case ControlCondition::both_high:
            case ControlCondition::both_low: return first + second;
            case ControlCondition::high_low: return first - second;
            case ControlCondition::low_high: return second - first;
        }
        return 0.0;
    }

    /// Whether an area lies on the wrong side of its threshold, or is NaN.
    bool is_missed(const std::array<double, 2>& response) const
    {
        for (std::size_t side = 0; side < 2; ++side) {
            const bool is_high = wants_high(condition, side);
            if (!(is_high ? response[side] >= threshold[side] : response[side] <= threshold[side]))
                return true;
        }
        return false;
    }

    /// What evolution makes larger in every condition (the published score; negated in both_low,
    /// where it is made smaller): first control counts, then only simplicity.
    double total(double control, bool missed, double complexity) const
    {
        if (!missed) return -complexity;
        return (condition == ControlCondition::both_low ? -control : control) - control_penalty;
    }

    /// The same for a test subject. As published, in both_low the complexity counts by whether the
    /// training subjects' thresholds were missed.
    double test_total(double control, bool missed, bool train_missed, double complexity,
                      Compat compat) const
    {
        if (compat == Compat::corrected || condition != ControlCondition::both_low)
            return total(control, missed, complexity);
        return (missed ? -control - control_penalty : 0.0) - (train_missed ? 0.0 : complexity);
    }
};

}  // namespace twinscreen
