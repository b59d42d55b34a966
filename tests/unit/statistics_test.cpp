#include "experiments/statistics.hpp"

#include <cmath>
#include <limits>
#include <random>

#include <gtest/gtest.h>

namespace twinscreen {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

TEST(Statistics, PearsonMatchesAKnownAnswerAndSkipsPairsWithNaN)
{
    // Of the five complete pairs, by hand.
    const std::vector<double> x{1, 2, nan, 3, 4, 7};
    const std::vector<double> y{2, 1, 100, 4, 3, 9};

    EXPECT_NEAR(pearson(x, y), 0.9204922441828913, 1e-14);
    EXPECT_TRUE(std::isnan(pearson(std::vector<double>{1, 1, 1}, std::vector<double>{1, 2, 3})));
}

TEST(Statistics, QuantilesInterpolateAsNumpyDoes)
{
    EXPECT_DOUBLE_EQ(quantile({4, 1, 3, 2}, 0.25), 1.75);
    EXPECT_DOUBLE_EQ(median({nan, 5, 1}), 3.0);
}

TEST(Statistics, BootstrapIntervalCoversAKnownCorrelation)
{
    std::mt19937_64 engine(7);
    std::normal_distribution<double> normal;
    int covered = 0;
    constexpr int experiments = 60;
    for (int experiment = 0; experiment < experiments; ++experiment) {
        std::vector<double> x(120);
        std::vector<double> y(120);
        for (std::size_t at = 0; at < x.size(); ++at) {
            x[at] = normal(engine);
            y[at] = 0.6 * x[at] + 0.8 * normal(engine);  // r = 0.6
        }
        const auto resamples = draw_resamples(120, 300, static_cast<std::uint64_t>(experiment));
        const Interval interval = bootstrap_pearson(x, y, resamples);
        covered += interval.low < 0.6 && 0.6 < interval.high ? 1 : 0;
    }
    EXPECT_GT(covered, 50);  // nominal 57 of 60
}

/// signal variance 1, noise variance `noise`, some repeats missing.
std::vector<double> simulate(std::size_t images, std::size_t repeats, double noise,
                             std::vector<double>& truth, double missing)
{
    std::mt19937_64 engine(11);
    std::normal_distribution<double> normal;
    std::uniform_real_distribution<double> uniform;
    std::vector<double> values;
    truth.clear();
    for (std::size_t image = 0; image < images; ++image) {
        truth.push_back(normal(engine));
        for (std::size_t repeat = 0; repeat < repeats; ++repeat)
            values.push_back(
                uniform(engine) < missing ? nan : truth.back() + std::sqrt(noise) * normal(engine));
    }
    return values;
}

TEST(Reliability, CeilingsOfSimulatedRepeatsAreTheKnownOnes)
{
    constexpr std::size_t repeats = 8;
    constexpr double noise = 2.0;
    std::vector<double> truth;
    const std::vector<double> values = simulate(4000, repeats, noise, truth, 0.0);
    const Repeats recorded{values, 4000, repeats};

    const Reliability neuron = reliability(recorded, 3, 20);

    // The averages have variance 1 + noise / 8; the ceiling is the correlation with the truth.
    const double ceiling = std::sqrt(1.0 / (1.0 + noise / repeats));
    EXPECT_NEAR(neuron.cc_max, ceiling, 0.01);
    EXPECT_NEAR(pearson(truth, mean_over_repeats(recorded)), neuron.cc_max, 0.01);
    EXPECT_NEAR(neuron.split_half, 1.0 / (1.0 + noise / repeats), 0.01);
    EXPECT_NEAR(neuron.fev, 1.0 / (1.0 + noise), 0.02);
    EXPECT_NEAR(explained_fraction(recorded, truth, neuron), 1.0, 0.02);
}

TEST(Reliability, CeilingsHoldWhereRepeatsAreMissing)
{
    std::vector<double> truth;
    const std::vector<double> values = simulate(4000, 10, 2.0, truth, 0.4);
    const Repeats recorded{values, 4000, 10};

    const Reliability neuron = reliability(recorded, 3, 20);

    EXPECT_NEAR(pearson(truth, mean_over_repeats(recorded)), neuron.cc_max, 0.015);
    EXPECT_NEAR(explained_fraction(recorded, truth, neuron), 1.0, 0.03);
}

TEST(Reliability, AConstantPredictionExplainsNothing)
{
    std::vector<double> truth;
    const std::vector<double> values = simulate(4000, 8, 1.0, truth, 0.0);
    const Repeats recorded{values, 4000, 8};
    const std::vector<double> constant(4000, 0.0);

    EXPECT_NEAR(explained_fraction(recorded, constant, reliability(recorded, 3, 5)), 0.0, 0.03);
}

TEST(Reliability, PureNoiseHasNoCeiling)
{
    std::vector<double> truth;
    std::vector<double> values = simulate(500, 4, 1.0, truth, 0.0);
    for (std::size_t image = 0; image < 500; ++image)
        for (std::size_t repeat = 0; repeat < 4; ++repeat)
            values[image * 4 + repeat] -= truth[image];

    const Reliability neuron = reliability({values, 500, 4}, 3, 20);

    EXPECT_TRUE(std::isnan(neuron.cc_max) || neuron.cc_max < 0.3);
    EXPECT_TRUE(std::isnan(explained_fraction({values, 500, 4}, truth, neuron)));
}

}  // namespace
}  // namespace twinscreen
