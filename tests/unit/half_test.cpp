#include "kernels/half.hpp"

#include <bit>
#include <cmath>
#include <limits>

#include <gtest/gtest.h>

namespace twinscreen {
namespace {

/// The value of binary16 bits by the definition.
double value_of(std::uint16_t bits)
{
    const int exponent = bits >> 10 & 0x1f;
    const double fraction = bits & 0x3ff;
    const double sign = (bits & 0x8000) != 0 ? -1.0 : 1.0;
    if (exponent == 0) return sign * std::ldexp(fraction, -24);
    return sign * std::ldexp(1024.0 + fraction, exponent - 25);
}

TEST(Half, EveryFiniteHalfSurvivesTheRoundTrip)
{
    for (std::uint32_t bits = 0; bits < 0x10000U; ++bits) {
        if ((bits >> 10U & 0x1fU) == 0x1fU) continue;
        const auto half = static_cast<std::uint16_t>(bits);
        ASSERT_EQ(to_half(static_cast<float>(value_of(half))), half);
    }
}

TEST(Half, RoundsToTheNearestAndTiesToEven)
{
    for (std::uint16_t half = 0x0000; half < 0x7bff; ++half) {
        const double low = value_of(half);
        const double high = value_of(static_cast<std::uint16_t>(half + 1));
        const double middle = (low + high) / 2.0;  // exact in binary32
        const auto even = static_cast<std::uint16_t>((half & 1) == 0 ? half : half + 1);
        ASSERT_EQ(to_half(static_cast<float>(middle)), even);
        ASSERT_EQ(to_half(std::nextafterf(static_cast<float>(middle), 0.0F)), half);
        ASSERT_EQ(to_half(std::nextafterf(static_cast<float>(middle), 1e9F)), half + 1);
    }
}

TEST(Half, OverflowIsInfiniteAndNaNStaysNaN)
{
    EXPECT_EQ(to_half(65519.9F), 0x7bff);
    EXPECT_EQ(to_half(65520.0F), 0x7c00);
    EXPECT_EQ(to_half(-1e30F), 0xfc00);
    EXPECT_EQ(to_half(std::numeric_limits<float>::quiet_NaN()) & 0x7e00, 0x7e00);
}

}  // namespace
}  // namespace twinscreen
