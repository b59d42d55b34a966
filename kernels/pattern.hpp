#pragma once

#include <cmath>
#include <cstdint>
#include <limits>

#include "kernels/function.hpp"

namespace twinscreen {

/// Response of one population to one image: its mean over units, and the pattern that is left.
struct PatternSummary {
    float mean = 0.0F;      ///< over the units that are not NaN; NaN if all are
    bool is_usable = true;  ///< false: a unit is NaN or the pattern is constant
};

/// z = (y - mean(y)) / |y - mean(y)|, so that the product of two patterns is their Pearson
/// correlation (Kriegeskorte, Mur & Bandettini 2008). In double, sums in unit order.
///
/// responses  [units of the row]  y of unit i of the population lies at responses[units[i]]
/// pattern    [count]             NaN throughout where it is not usable; may be null
TWINSCREEN_FUNCTION inline PatternSummary normalise_pattern(const float* responses,
                                                            const std::uint32_t* units,
                                                            std::uint32_t count, float* pattern)
{
    double sum = 0.0;
    std::uint32_t finite = 0;
    for (std::uint32_t unit = 0; unit < count; ++unit) {
        const auto value = static_cast<double>(responses[units[unit]]);
        if (std::isnan(value)) continue;
        sum += value;
        ++finite;
    }
    constexpr float nan = std::numeric_limits<float>::quiet_NaN();
    PatternSummary summary;
    const double mean = sum / static_cast<double>(finite);  // NaN where none is finite
    summary.mean = finite > 0 ? static_cast<float>(mean) : nan;
    double squares = 0.0;
    for (std::uint32_t unit = 0; unit < count; ++unit) {
        const double centred = static_cast<double>(responses[units[unit]]) - mean;
        squares += centred * centred;
    }
    // Equal floats have a mean that is off by rounding: far below the spread of any real pattern.
    const double least = 1e-12 * std::abs(mean) * std::sqrt(static_cast<double>(count));
    const double norm = std::sqrt(squares);
    summary.is_usable = norm > least && std::isfinite(norm);
    if (pattern == nullptr) return summary;
    for (std::uint32_t unit = 0; unit < count; ++unit)
        pattern[unit] =
            summary.is_usable
                ? static_cast<float>((static_cast<double>(responses[units[unit]]) - mean) / norm)
                : nan;
    return summary;
}

}  // namespace twinscreen
