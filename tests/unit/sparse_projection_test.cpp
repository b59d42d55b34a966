#include "kernels/sparse_projection.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include <gtest/gtest.h>

#include "kernels/normal.hpp"

namespace {

using namespace twinscreen;

std::vector<double> random_values(std::size_t count, std::uint64_t item)
{
    std::vector<double> values;
    for (std::uint32_t i = 0; i < count; ++i)
        values.push_back(
            static_cast<double>(normal_draws({1, DrawStream::synthetic_noise, item, i})[0]));
    return values;
}

double squared_length(const std::vector<double>& values)
{
    double sum = 0.0;
    for (const double value : values) sum += value * value;
    return sum;
}

std::vector<double> projected(const SparseProjection& projection, const std::vector<double>& values)
{
    std::vector<double> result(static_cast<std::size_t>(projection.outputs()));
    projection.project<double>(values, result);
    return result;
}

TEST(SparseProjection, KeepsSquaredLengths)
{
    constexpr std::int64_t outputs = 500;
    const SparseProjection projection(3000, outputs, 1);
    double worst = 0.0;

    for (std::uint64_t item = 0; item < 50; ++item) {
        const std::vector<double> values = random_values(3000, item);
        const double ratio = squared_length(projected(projection, values)) / squared_length(values);
        worst = std::max(worst, std::abs(ratio - 1.0));
    }

    EXPECT_LT(worst, 4.0 * std::sqrt(2.0 / outputs));  // 4 standard deviations
}

TEST(SparseProjection, PutsEveryInputIntoEachQuarterOnce)
{
    const SparseProjection projection(40, 10, 2);
    const std::array<std::size_t, 5> bounds{0, 2, 5, 7, 10};

    for (std::size_t input = 0; input < 40; ++input) {
        std::vector<double> one(40, 0.0);
        one[input] = 1.0;
        const std::vector<double> column = projected(projection, one);
        for (std::size_t block = 0; block < 4; ++block) {
            double sum = 0.0;
            for (std::size_t i = bounds[block]; i < bounds[block + 1]; ++i)
                sum += std::abs(column[i]);
            EXPECT_EQ(sum, 0.5);
        }
    }
}

TEST(SparseProjection, PullBackIsTheTransposedMap)
{
    const SparseProjection projection(70, 12, 3);
    const std::vector<double> x = random_values(70, 1);
    const std::vector<double> y = random_values(12, 2);
    std::vector<double> back(70);

    projection.pull_back<double>(y, back);

    const std::vector<double> forth = projected(projection, x);
    double left = 0.0;
    double right = 0.0;
    for (std::size_t i = 0; i < 12; ++i) left += forth[i] * y[i];
    for (std::size_t i = 0; i < 70; ++i) right += x[i] * back[i];
    EXPECT_NEAR(left, right, 1e-12);
}

TEST(SparseProjection, AnInputsPlaceDependsOnItsNumberAndTheDrawOnly)
{
    const SparseProjection narrow(10, 8, 5);
    const SparseProjection wide(1000, 8, 5);
    const SparseProjection other(10, 8, 6);
    const std::vector<double> values = random_values(10, 1);
    std::vector<double> longer = values;
    longer.resize(1000, 0.0);

    EXPECT_EQ(projected(narrow, values), projected(wide, longer));
    EXPECT_NE(projected(narrow, values), projected(other, values));
}

}  // namespace
