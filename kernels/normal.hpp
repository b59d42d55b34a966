#pragma once

#include <array>
#include <cmath>

#include "kernels/random.hpp"

namespace twinscreen {

/// Four independent draws from the standard normal distribution (Box & Muller 1958).
TWINSCREEN_FUNCTION inline std::array<float, 4> normal_draws(DrawAddress at) noexcept
{
    constexpr float two_pi = 6.28318530718F;
    const std::array<std::uint32_t, 4> bits = draw_bits(at);
    std::array<float, 4> result{};
    for (std::size_t pair = 0; pair < 4; pair += 2) {
        const float radius = std::sqrt(-2.0F * std::log(unit_interval(bits[pair])));
        const float angle = two_pi * unit_interval(bits[pair + 1]);
        result[pair] = radius * std::cos(angle);
        result[pair + 1] = radius * std::sin(angle);
    }
    return result;
}

}  // namespace twinscreen
