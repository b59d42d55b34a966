#include <gtest/gtest.h>

#include "engine/base/error.hpp"
#include "experiments/relational_control/statistics/pair_label_tests.hpp"
#include "experiments/relational_control/statistics/trend_tests.hpp"
#include "tests/unit/rnc_null_support.hpp"

namespace twinscreen {
namespace {

constexpr auto ends = static_cast<std::size_t>(Trend::ends);
constexpr auto slope = static_cast<std::size_t>(Trend::slope);
constexpr auto smallest_step = static_cast<std::size_t>(Trend::smallest_step);

std::vector<GroupSum> groups_of(double first, double second, double third)
{
    return {{3.0 * first, 3.0}, {2.0 * second, 2.0}, {third, 1.0}};
}

TEST(Trends, AsPublishedDoNotDependOnTheMiddle)
{
    const Trends even = trends_of(groups_of(3.0, 2.0, 1.0), TrendDirection::falling);
    const Trends bent = trends_of(groups_of(3.0, 0.5, 1.0), TrendDirection::falling);

    EXPECT_DOUBLE_EQ(even[ends], 2.0);
    EXPECT_DOUBLE_EQ(bent[ends], 2.0);
    EXPECT_DOUBLE_EQ(even[smallest_step], 1.0);
    EXPECT_DOUBLE_EQ(bent[smallest_step], -0.5);
    EXPECT_NE(even[slope], bent[slope]);
}

TEST(Trends, HaveTheSlopeOfALineThroughAllValues)
{
    // y = 4 4 4 1 1 2 at x = 0 0 0 1 1 2: by hand, slope -1.4.
    const Trends trends = trends_of(groups_of(4.0, 1.0, 2.0), TrendDirection::falling);

    EXPECT_NEAR(trends[slope], 1.4, 1e-14);
}

TEST(Trends, AreReversedForValuesThatRise)
{
    const Trends rising = trends_of(groups_of(1.0, 1.5, 4.0), TrendDirection::rising);
    const Trends falling = trends_of(groups_of(-1.0, -1.5, -4.0), TrendDirection::falling);

    for (std::size_t trend = 0; trend < trend_count; ++trend)
        EXPECT_DOUBLE_EQ(rising[trend], falling[trend]);
    EXPECT_DOUBLE_EQ(rising[smallest_step], 0.5);
}

TEST(Trends, OfTwoGroupsAreTheirDifference)
{
    const std::vector<GroupSum> groups{{6.0, 2.0}, {4.0, 4.0}};

    for (const double trend : trends_of(groups, TrendDirection::falling))
        EXPECT_DOUBLE_EQ(trend, 2.0);
}

TEST(Trends, AreUnknownWhereAGroupIsEmpty)
{
    const std::vector<GroupSum> groups{{6.0, 2.0}, {0.0, 0.0}, {4.0, 4.0}};

    for (const double trend : trends_of(groups, TrendDirection::rising))
        EXPECT_TRUE(std::isnan(trend));
    EXPECT_THROW(trends_of(std::span(groups).first(1), TrendDirection::rising), Error);
}

const PairGroups by_distance{{0, 3, 5}, {1, 4}, {2}};

TEST(PairLabels, ArePermutedOncePerSubjectAsPublishedAndInEveryIterationIfCorrected)
{
    constexpr std::uint32_t iterations = 4000;
    std::vector<double> nulls;  // each pair has one score in all draws
    for (std::size_t pair = 0; pair < 6; ++pair)
        nulls.insert(nulls.end(), 3 * iterations, static_cast<double>(pair * pair));
    const std::vector<double> observed{9.0, 4.0, 1.0, 9.0, 4.0, 9.0};
    const PairScores scores{nulls, 6, {observed, observed, observed}};
    const PermutationBlock block{1, 0, 0, iterations};
    std::vector<double> all_orders;
    std::array<std::size_t, 6> order{0, 1, 2, 3, 4, 5};
    const auto square = [&](std::size_t at) { return static_cast<double>(order[at] * order[at]); };
    do all_orders.push_back((square(0) + square(3) + square(5)) / 3.0 - square(2));
    while (std::next_permutation(order.begin(), order.end()));

    const auto published =
        permute_pair_labels(scores, by_distance, Compat::reference, iterations, block);
    const auto corrected =
        permute_pair_labels(scores, by_distance, Compat::corrected, iterations, block);

    const double sd = sd_of(all_orders);
    EXPECT_NEAR(published[0].test(Trend::ends).sd(), 0.0, 1e-5);       // rounding
    EXPECT_NEAR(corrected[0].test(Trend::ends).sd() / sd, 1.0, 0.06);  // 4 standard errors
    EXPECT_NEAR(corrected[0].test(Trend::ends).mean(), mean_of(all_orders),
                4.0 * sd / std::sqrt(iterations));
    EXPECT_EQ(corrected[0].test(Trend::ends).observed, 8.0);
}

TEST(PairLabels, TakeAligningDisentanglingAndBaselineNullsFromThreeSlices)
{
    constexpr std::uint32_t iterations = 50;
    std::vector<double> nulls;
    for (std::size_t pair = 0; pair < 6; ++pair)
        for (std::size_t draw = 0; draw < 3 * iterations; ++draw)
            nulls.push_back(static_cast<double>((draw / iterations) * (pair + 1)));
    const std::vector<double> observed(6, 0.0);
    const PairScores scores{nulls, 6, {observed, observed, observed}};

    const auto tests = permute_pair_labels(scores, by_distance, Compat::corrected, iterations,
                                           {2, 0, 0, iterations});

    EXPECT_EQ(tests[0].test(Trend::ends).squares, 0.0);
    EXPECT_GT(tests[1].test(Trend::ends).squares, 0.0);
    EXPECT_NEAR(tests[2].test(Trend::ends).sum, 2.0 * tests[1].test(Trend::ends).sum, 1e-9);
}

TEST(PairLabels, GiveUniformPValuesForRandomBatches)
{
    constexpr std::uint32_t studies = 500;
    constexpr std::uint32_t iterations = 99;
    for (const Compat compat : {Compat::reference, Compat::corrected}) {
        std::mt19937_64 engine(3);
        std::normal_distribution<double> normal;
        std::vector<double> p;
        for (std::uint32_t study = 0; study < studies; ++study) {
            std::vector<double> nulls(6 * 3 * iterations);
            std::vector<double> observed(6);
            for (double& score : nulls) score = normal(engine);
            for (double& score : observed) score = normal(engine);
            const auto tests =
                permute_pair_labels({nulls, 6, {observed, observed, observed}}, by_distance, compat,
                                    iterations, {4, study, 0, iterations});
            p.push_back(tests[1].test(Trend::smallest_step).p());
        }
        EXPECT_LT(distance_from_uniform(p, iterations + 1), 1.95 / std::sqrt(studies));
    }
}

TEST(PairLabels, NeedThreeDrawsForEachIteration)
{
    const std::vector<double> nulls(6 * 30, 0.0);
    const std::vector<double> observed(6, 0.0);
    const PairScores scores{nulls, 6, {observed, observed, observed}};

    EXPECT_NO_THROW(permute_pair_labels(scores, by_distance, Compat::reference, 10, {1, 0, 0, 10}));
    EXPECT_THROW(permute_pair_labels(scores, by_distance, Compat::reference, 11, {}), Error);
    EXPECT_THROW(permute_pair_labels(scores, by_distance, Compat::reference, 10, {1, 0, 5, 6}),
                 Error);
}

}  // namespace
}  // namespace twinscreen
