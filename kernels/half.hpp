#pragma once

#include <bit>
#include <cstdint>

#include "kernels/function.hpp"

namespace twinscreen {

/// Bits of the IEEE binary16 value nearest to `value`, ties to even; overflow becomes infinity.
/// Relative error at most 2^-11 between 6.1e-5 and 65504.
TWINSCREEN_FUNCTION constexpr std::uint16_t to_half(float value) noexcept
{
    const std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
    const auto sign = static_cast<std::uint16_t>(bits >> 16U & 0x8000U);
    const std::uint32_t magnitude = bits & 0x7fffffffU;
    if (magnitude > 0x7f800000U) return static_cast<std::uint16_t>(sign | 0x7e00U);  // NaN
    if (magnitude >= 0x477ff000U) return static_cast<std::uint16_t>(sign | 0x7c00U);
    if (magnitude < 0x38800000U) {  // subnormal: counts of 2^-24
        const float scaled = std::bit_cast<float>(magnitude) * 0x1p24F;
        const auto below = static_cast<std::uint32_t>(scaled);
        const float rest = scaled - static_cast<float>(below);
        const bool up = rest > 0.5F || (rest == 0.5F && (below & 1U) != 0);
        return static_cast<std::uint16_t>(sign | (below + (up ? 1U : 0U)));
    }
    const std::uint32_t rebased = magnitude - 0x38000000U;
    const std::uint32_t rounded = rebased + 0xfffU + (rebased >> 13U & 1U);
    return static_cast<std::uint16_t>(sign | rounded >> 13U);
}

}  // namespace twinscreen
