#pragma once

#include <bit>
#include <cstdint>

namespace twinscreen {

/// IEEE 754 binary16 to binary32, exact.
constexpr float float_from_half(std::uint16_t half) noexcept
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
