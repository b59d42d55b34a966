#pragma once

#include <array>
#include <cstddef>

#include "engine/base/table.hpp"

namespace twinscreen {

/// What a controlling set of images does to the first and the second area of a pair: align them
/// (both up, both down) or disentangle them (Gifford et al. 2024).
enum class ControlCondition { both_high, both_low, high_low, low_high };

inline constexpr std::size_t control_conditions = 4;
inline constexpr std::array<const char*, control_conditions> condition_names{
    "both_high", "both_low", "high_low", "low_high"};

/// Whether the condition drives that area (0 or 1) up.
constexpr bool wants_high(ControlCondition condition, std::size_t area) noexcept
{
    switch (condition) {
        case ControlCondition::both_high: return true;
        case ControlCondition::both_low: return false;
        case ControlCondition::high_low: return area == 0;
        case ControlCondition::low_high: return area == 1;
    }
    return false;
}

/// The names, for the axis "condition".
inline Table condition_table()
{
    return {
        {{"name", "", std::vector<std::string>(condition_names.begin(), condition_names.end())}}};
}

}  // namespace twinscreen
