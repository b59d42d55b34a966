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

/// IEEE 754 binary16 to binary32, exact.
TWINSCREEN_FUNCTION constexpr float float_from_half(std::uint16_t half) noexcept
{
    const std::uint32_t sign = (half & 0x8000U) << 16U;
    const std::uint32_t exponent = (half >> 10U) & 0x1FU;
    const std::uint32_t fraction = half & 0x3FFU;
    if (exponent == 0) {
        const float magnitude = static_cast<float>(fraction) * 0x1p-24F;
        return sign != 0 ? -magnitude : magnitude;
    }
    const std::uint32_t widened = exponent == 0x1FU ? 0xFFU : exponent + 112U;
    return std::bit_cast<float>(sign | (widened << 23U) | (fraction << 13U));
}

}  // namespace twinscreen
