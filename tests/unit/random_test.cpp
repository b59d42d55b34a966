#include "kernels/random.hpp"

#include <cmath>
#include <set>

#include <gtest/gtest.h>

#include "kernels/normal.hpp"

namespace twinscreen {
namespace {

TEST(Draws, AreThePublishedPhiloxWords)
{
    // Known answers of Philox4x32-10 (Salmon et al. 2011, kat_vectors): counter and key all zero,
    // and all ones.
    const auto zero = draw_bits({0, static_cast<DrawStream>(0), 0, 0});
    const auto ones = draw_bits({~0ULL, static_cast<DrawStream>(~0U), ~0ULL, ~0U});

    EXPECT_EQ(zero, (std::array<std::uint32_t, 4>{0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8}));
    EXPECT_EQ(ones, (std::array<std::uint32_t, 4>{0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD}));
}

TEST(Draws, DifferWhereAnyPartOfTheAddressDiffers)
{
    std::set<std::array<std::uint32_t, 4>> seen;
    for (const std::uint64_t seed : {1ULL, 1ULL << 40U})
        for (const DrawStream stream :
             {DrawStream::synthetic_noise, DrawStream::stimulus_parameter})
            for (const std::uint64_t item : {0ULL, 1ULL, 1ULL << 48U})
                for (const std::uint32_t index : {0U, 1U})
                    seen.insert(draw_bits({seed, stream, item, index}));

    EXPECT_EQ(seen.size(), 24U);
}

TEST(UnitInterval, IsOpenAtBothEndsAndExact)
{
    static_assert(unit_interval(0) == 0x1p-24F);
    static_assert(unit_interval(0xFFFFFFFFU) == 1.0F - 0x1p-24F);
    static_assert(below(0xFFFFFFFFU, 7) == 6);
    EXPECT_LT(unit_interval(0xFFFFFFFFU), 1.0F);
}

TEST(NormalDraws, HaveMeanZeroAndVarianceOne)
{
    constexpr int count = 50'000;
    double sum = 0;
    double squares = 0;
    double fourth = 0;
    for (std::uint64_t item = 0; item < count; ++item)
        for (const float z : normal_draws({1, DrawStream::synthetic_noise, item, 0})) {
            sum += z;
            squares += z * z;
            fourth += z * z * z * z;
        }
    constexpr double n = 4.0 * count;

    // Five standard errors: 1 / sqrt(n), sqrt(2 / n), sqrt(96 / n).
    EXPECT_NEAR(sum / n, 0.0, 5.0 / std::sqrt(n));
    EXPECT_NEAR(squares / n, 1.0, 5.0 * std::sqrt(2.0 / n));
    EXPECT_NEAR(fourth / n, 3.0, 5.0 * std::sqrt(96.0 / n));
}

}  // namespace
}  // namespace twinscreen
