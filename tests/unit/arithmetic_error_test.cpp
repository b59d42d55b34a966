#include "engine/run/arithmetic_error.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include <gtest/gtest.h>

namespace twinscreen {
namespace {

constexpr float infinite = std::numeric_limits<float>::infinity();
constexpr float nan = std::numeric_limits<float>::quiet_NaN();

OwnedBatch responses(const std::vector<float>& values, std::int64_t units)
{
    OwnedBatch batch(ElementType::f32, {static_cast<std::int64_t>(values.size()) / units, units});
    std::ranges::copy(values, batch.values<float>().begin());
    return batch;
}

TEST(ArithmeticError, IsMeasuredByTheSpreadOfEachUnitOverPictures)
{
    // Deviations of unit 0: -1, 1, of unit 1: -10, 10; differences 0.5, 0 and 0, 1.
    const OwnedBatch exact = responses({100.0F, -10.0F, 102.0F, 10.0F}, 2);
    const OwnedBatch found = responses({100.5F, -10.0F, 102.0F, 11.0F}, 2);
    const std::vector<std::uint8_t> valid{1, 1};

    ArithmeticError error;
    error.add(found.view(), exact.view(), valid);

    EXPECT_EQ(error.batches(), 1U);
    EXPECT_DOUBLE_EQ(error.of_spread(), std::sqrt((0.25 + 1.0) / (2.0 + 200.0)));
    EXPECT_DOUBLE_EQ(error.largest(), 0.5);
    EXPECT_EQ(error.overflowed(), 0U);
}

TEST(ArithmeticError, LeavesOutPicturesThatCouldNotBeRead)
{
    const OwnedBatch exact = responses({1.0F, nan, 3.0F}, 1);
    const OwnedBatch found = responses({1.0F, 7.0F, 3.5F}, 1);
    const std::vector<std::uint8_t> valid{1, 0, 1};

    ArithmeticError error;
    error.add(found.view(), exact.view(), valid);

    EXPECT_DOUBLE_EQ(error.largest(), 0.5);
}

TEST(ArithmeticError, CountsWhatBecameInfinite)
{
    const OwnedBatch exact = responses({1.0F, 3.0F, 70000.0F, infinite}, 1);
    const OwnedBatch found = responses({1.0F, 3.0F, infinite, infinite}, 1);
    const std::vector<std::uint8_t> valid{1, 1, 1, 1};

    ArithmeticError error;
    error.add(found.view(), exact.view(), valid);

    EXPECT_EQ(error.overflowed(), 1U);
    EXPECT_GT(error.of_spread(), 0.5);
}

TEST(ArithmeticError, OfUnitsThatAnswerAllPicturesAlikeIsNoDivisionByZero)
{
    const OwnedBatch same = responses({2.0F, 2.0F}, 1);
    const std::vector<std::uint8_t> valid{1, 1};

    ArithmeticError error;
    error.add(same.view(), same.view(), valid);

    EXPECT_EQ(error.of_spread(), 0.0);
    EXPECT_EQ(error.largest(), 0.0);
}

}  // namespace
}  // namespace twinscreen
