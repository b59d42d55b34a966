#include "kernels/moments.hpp"

#include <cmath>
#include <limits>

#include <gtest/gtest.h>

#include "kernels/normal.hpp"

namespace twinscreen {
namespace {

constexpr float nan = std::numeric_limits<float>::quiet_NaN();

/// [rows, columns] of skewed values far from 0, with some holes.
std::vector<float> test_rows(std::size_t rows, std::size_t columns, bool holes)
{
    std::vector<float> values(rows * columns);
    for (std::size_t i = 0; i < values.size(); ++i) {
        const auto z = normal_draws({7, DrawStream::synthetic_noise, i, 0});
        values[i] = 1000.0F + z[0] * z[0] + static_cast<float>(i % columns);
        if (holes && i % 13 == 5) values[i] = nan;
    }
    return values;
}

ConstBatch batch_of(const std::vector<float>& values, std::size_t first_row, std::size_t rows,
                    std::size_t columns)
{
    return {values.data() + first_row * columns, ElementType::f32,
            Shape{static_cast<std::int64_t>(rows), static_cast<std::int64_t>(columns)}};
}

struct Naive {
    long double n = 0, mean = 0, m2 = 0, m3 = 0, m4 = 0;
};

Naive naive_moments(const std::vector<float>& values, std::size_t columns, std::size_t column)
{
    Naive result;
    for (std::size_t i = column; i < values.size(); i += columns)
        if (!std::isnan(values[i])) {
            result.n += 1;
            result.mean += values[i];
        }
    result.mean /= result.n;
    for (std::size_t i = column; i < values.size(); i += columns) {
        if (std::isnan(values[i])) continue;
        const long double d = values[i] - result.mean;
        result.m2 += d * d;
        result.m3 += d * d * d;
        result.m4 += d * d * d * d;
    }
    return result;
}

void expect_moments(const MomentTable& table, const std::vector<float>& values)
{
    constexpr double relative = 1e-10;  // sums of a few hundred doubles
    for (std::size_t c = 0; c < table.columns(); ++c) {
        const Naive wanted = naive_moments(values, table.columns(), c);
        EXPECT_EQ(table.count[c], static_cast<double>(wanted.n));
        EXPECT_NEAR(table.mean[c] / static_cast<double>(wanted.mean), 1.0, relative);
        EXPECT_NEAR(table.m2[c] / static_cast<double>(wanted.m2), 1.0, relative);
        EXPECT_NEAR(table.m3[c] / static_cast<double>(wanted.m3), 1.0, relative);
        EXPECT_NEAR(table.m4[c] / static_cast<double>(wanted.m4), 1.0, relative);
    }
}

TEST(Moments, AgreeWithTwoPassesInLongDouble)
{
    const std::vector<float> values = test_rows(300, 17, true);
    MomentAccumulator moments(17);

    moments.add_rows(batch_of(values, 0, 300, 17));

    expect_moments(moments.result(), values);
}

TEST(Moments, HaveTheSameBitsHoweverTheRowsAreCut)
{
    constexpr std::size_t columns = 600;  // more than a tile
    const std::vector<float> values = test_rows(64, columns, true);
    MomentAccumulator whole(columns);
    MomentAccumulator cut(columns);

    whole.add_rows(batch_of(values, 0, 64, columns));
    for (const auto& [first, rows] : {std::pair{0, 1}, {1, 30}, {31, 33}})
        cut.add_rows(batch_of(values, static_cast<std::size_t>(first),
                              static_cast<std::size_t>(rows), columns));

    EXPECT_EQ(whole.result().planes(), cut.result().planes());
}

TEST(Moments, OfShardsMergedInOrderAgreeWithOnePass)
{
    const std::vector<float> values = test_rows(500, 5, true);
    MomentTable merged(5);
    for (std::size_t first = 0; first < 500; first += 60) {
        const std::size_t rows = std::min<std::size_t>(60, 500 - first);
        MomentAccumulator shard(5);
        shard.add_rows(batch_of(values, first, rows, 5));
        const std::vector<double> stored = shard.result().planes();

        merged.merge(MomentTable::from_planes({stored.data(), ElementType::f64, Shape{5, 5}}));
    }

    expect_moments(merged, values);
}

TEST(Moments, GiveVarianceSkewnessKurtosisAndSparsenessOfKnownValues)
{
    // 1, 0, 0, 0: mean 1/4; S = (1 - (1/16) / (1/4)) / (1 - 1/4) = 1.
    const std::vector<float> values{1.0F, 2.0F, 0.0F, 2.0F, 0.0F, 2.0F, 0.0F, 2.0F};
    MomentAccumulator moments(2);

    moments.add_rows(batch_of(values, 0, 4, 2));
    const MomentTable table = moments.result();

    EXPECT_DOUBLE_EQ(table.variance(0), 0.25);
    EXPECT_NEAR(table.skewness(0), 2.0 / std::sqrt(3.0), 1e-12);
    EXPECT_NEAR(table.kurtosis(0), 7.0 / 3.0 - 3.0, 1e-12);
    EXPECT_NEAR(table.lifetime_sparseness(0), 1.0, 1e-12);
    EXPECT_NEAR(table.lifetime_sparseness(1), 0.0, 1e-12);
    EXPECT_TRUE(std::isnan(table.skewness(1)));
}

TEST(Moments, OfAColumnWithoutValuesAreUnknownAndDoNotDisturbAMerge)
{
    const std::vector<float> holes{nan, nan};
    const std::vector<float> values{3.0F, 5.0F};
    MomentAccumulator empty(1);
    MomentAccumulator full(1);
    empty.add_rows(batch_of(holes, 0, 2, 1));
    full.add_rows(batch_of(values, 0, 2, 1));

    MomentTable merged = empty.result();
    EXPECT_TRUE(std::isnan(merged.variance(0)));
    merged.merge(full.result());
    merged.merge(empty.result());

    EXPECT_EQ(merged.planes(), full.result().planes());
}

}  // namespace
}  // namespace twinscreen
