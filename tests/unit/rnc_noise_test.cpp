#include <algorithm>

#include <gtest/gtest.h>

#include "engine/base/error.hpp"
#include "experiments/relational_control/statistics/group_statistics.hpp"
#include "experiments/relational_control/statistics/noise_analysis.hpp"
#include "tests/unit/rnc_null_support.hpp"

namespace twinscreen {
namespace {

/// Responses to images with known signal and noise: [images, voxels] each.
struct Recording {
    std::size_t images = 0;
    std::size_t voxels = 0;
    std::vector<float> signal;
    std::array<std::vector<float>, 3> trials;

    std::array<std::span<const float>, 3> views() const
    {
        return {trials[0], trials[1], trials[2]};
    }
};

Recording simulate(std::size_t images, std::size_t voxels, float noise, std::uint64_t seed)
{
    Recording result{images, voxels, normal_table(images, voxels, seed), {}};
    for (std::size_t trial = 0; trial < 3; ++trial) {
        result.trials[trial] = normal_table(images, voxels, seed + 1 + trial);
        for (std::size_t at = 0; at < result.signal.size(); ++at)
            result.trials[trial][at] = noise * result.trials[trial][at] + result.signal[at];
    }
    return result;
}

/// e_v from the formulas, with sums over images of raw products.
double naive_accuracy(std::span<const float> x, std::span<const float> y, std::size_t voxels,
                      std::size_t voxel, double snr, double share)
{
    long double n = 0, sx = 0, sy = 0, sxx = 0, syy = 0, sxy = 0;
    for (std::size_t at = voxel; at < x.size(); at += voxels) {
        const long double a = x[at];
        const long double b = y[at];
        n += 1;
        sx += a;
        sy += b;
        sxx += a * a;
        syy += b * b;
        sxy += a * b;
    }
    const long double r =
        (n * sxy - sx * sy) / std::sqrt((n * sxx - sx * sx) * (n * syy - sy * sy));
    const long double positive = std::max(r, 0.0L);
    const long double ceiling = snr * snr / (snr * snr + share);
    return static_cast<double>(std::min(positive * positive / ceiling, 1.0L));
}

TEST(NoiseCeiling, HasTheNormTermsOfThePublishedDesigns)
{
    const std::vector<RepeatedImages> three{{515.0, 3.0}};
    const std::vector<RepeatedImages> synthetic{{236.0, 2.0}, {32.0, 4.0}, {8.0, 8.0}, {8.0, 10.0}};

    EXPECT_DOUBLE_EQ(noise_share(three), 1.0 / 3.0);
    EXPECT_DOUBLE_EQ(noise_share(synthetic), (118.0 + 8.0 + 1.0 + 0.8) / 284.0);
    EXPECT_DOUBLE_EQ(noise_ceiling(1.0, 1.0), 0.5);
    EXPECT_DOUBLE_EQ(noise_ceiling(2.0, 1.0 / 3.0), 12.0 / 13.0);
    EXPECT_DOUBLE_EQ(noise_ceiling(0.0, 1.0), 1e-14);
}

TEST(SignalToNoise, MatchesAnAnswerByHand)
{
    // Image 0: 1, 3 (variance 2); image 1: 4, 4, 7 (variance 3); image 2: 5 once.
    // noise = (1 * 2 + 2 * 3) / 3 = 8/3; mean 4, total = (9 + 1 + 0 + 0 + 9 + 1) / 6 = 10/3.
    const std::vector<double> trials{1, 4, 3, 5, 4, 7};
    const std::vector<std::uint32_t> image{0, 1, 0, 2, 1, 1};

    EXPECT_NEAR(signal_to_noise(trials, image), std::sqrt((2.0 / 3.0) / (8.0 / 3.0)), 1e-14);
    EXPECT_TRUE(
        std::isnan(signal_to_noise(std::vector<double>{1, 2}, std::vector<std::uint32_t>{0, 1})));
}

TEST(SignalToNoise, IsInfiniteWithoutNoiseAndUnknownOfAConstant)
{
    const std::vector<std::uint32_t> image{0, 0, 0, 1, 1, 1, 2};
    const double noiseless = signal_to_noise(std::vector<double>{1, 1, 1, 2, 2, 2, 4}, image);

    EXPECT_EQ(noiseless, std::numeric_limits<double>::infinity());
    EXPECT_EQ(noise_ceiling(noiseless, 1.0 / 3.0), 1.0);
    for (const double value : {0.0, 0.1, -2.3e7})  // means of these are rounded
        EXPECT_TRUE(std::isnan(signal_to_noise(std::vector<double>(7, value), image)));
}

TEST(SignalToNoise, PoolsSetsOfImagesThatWereRepeatedMoreAndLessByDegreesOfFreedom)
{
    constexpr std::array<std::uint32_t, 3> repeats{5, 2, 8};  // of 6 images each
    const std::vector<float> values = normal_table(90, 1, 50);
    std::vector<double> trials;
    std::vector<std::uint32_t> image;
    double scatter = 0.0, freedom = 0.0;
    for (std::size_t set = 0; set < repeats.size(); ++set)
        for (std::uint32_t number = 0; number < 6; ++number) {
            std::vector<double> of_image;
            for (std::uint32_t repeat = 0; repeat < repeats[set]; ++repeat) {
                trials.push_back(static_cast<double>(values[trials.size()]) + number);
                image.push_back(static_cast<std::uint32_t>(set) * 6 + number);
                of_image.push_back(trials.back());
            }
            scatter += sd_of(of_image) * sd_of(of_image) * (repeats[set] - 1.0);
            freedom += repeats[set] - 1.0;
        }

    const double noise = scatter / freedom, count = static_cast<double>(trials.size());
    const double total = sd_of(trials) * sd_of(trials) * (count - 1.0) / count;
    EXPECT_NEAR(signal_to_noise(trials, image), std::sqrt((total - noise) / noise), 1e-12);
}

TEST(SignalToNoise, FindsTheRatioOfSimulatedTrials)
{
    const Recording recording = simulate(20'000, 1, 1.25F, 40);
    std::vector<double> trials;
    std::vector<std::uint32_t> image;
    for (const auto& trial : recording.trials)
        for (std::uint32_t at = 0; at < 20'000; ++at) {
            trials.push_back(static_cast<double>(trial[at]));
            image.push_back(at);
        }

    EXPECT_NEAR(signal_to_noise(trials, image), 0.8, 0.015);  // 1 / 1.25
}

TEST(VoxelAccuracy, AgreesWithTheFormulas)
{
    const Recording recording = simulate(60, 7, 1.5F, 1);
    std::vector<float> snr{0.6F, 0.7F, 0.8F, 0.9F, 1.0F, 0.0F, 2.0F};

    const auto accuracy = voxel_accuracy(recording.trials[0], recording.trials[1], snr, 1.0 / 3.0);

    for (const std::size_t voxel : {0U, 1U, 2U, 3U, 4U, 6U})
        EXPECT_NEAR(accuracy[voxel],
                    naive_accuracy(recording.trials[0], recording.trials[1], 7, voxel,
                                   static_cast<double>(snr[voxel]), 1.0 / 3.0),
                    1e-12);
    EXPECT_EQ(accuracy[5], 1.0);  // no ceiling to speak of: any correlation is above it
}

TEST(VoxelAccuracy, IsZeroForOppositeAndUnknownForConstantResponses)
{
    const std::vector<float> predicted{1, 1, 2, 1, 3, 1};  // [3, 2]
    const std::vector<float> measured{3, 1, 2, 2, 1, 3};
    const std::vector<float> snr{1, 1};

    const auto accuracy = voxel_accuracy(predicted, measured, snr, 1.0);

    EXPECT_EQ(accuracy[0], 0.0);
    EXPECT_TRUE(std::isnan(accuracy[1]));
    EXPECT_THROW(voxel_accuracy(predicted, std::span(measured).first(4), snr, 1.0), Error);
}

TEST(NoiseScores, PredictEveryTrialByTheOthersTheirMeanAndTheModel)
{
    const Recording recording = simulate(50, 4, 1.0F, 2);
    const std::vector<float> snr{0.8F, 1.0F, 1.2F, 1.4F};

    const NoiseScores scores = noise_scores(recording.views(), recording.signal, snr);

    double single = 0.0;
    double mean = 0.0;
    double model = 0.0;
    for (std::size_t target = 0; target < 3; ++target)
        for (std::size_t voxel = 0; voxel < 4; ++voxel) {
            const auto accuracy = [&](std::span<const float> predictor) {
                return naive_accuracy(predictor, recording.trials[target], 4, voxel,
                                      static_cast<double>(snr[voxel]), 1.0);
            };
            std::vector<float> others(recording.signal.size(), 0.0F);
            for (std::size_t trial = 0; trial < 3; ++trial) {
                if (trial == target) continue;
                single += accuracy(recording.trials[trial]);
                for (std::size_t at = 0; at < others.size(); ++at)
                    others[at] += 0.5F * recording.trials[trial][at];
            }
            mean += accuracy(others);
            model += accuracy(recording.signal);
        }
    ASSERT_EQ(scores.single_trials.size(), 24U);
    ASSERT_EQ(scores.mean_of_two.size(), 12U);
    ASSERT_EQ(scores.model_predictions.size(), 12U);
    constexpr double rounding = 1e-6;  // means of two trials in float
    EXPECT_NEAR(mean_of(scores.single_trials), single / 24.0, rounding);
    EXPECT_NEAR(mean_of(scores.mean_of_two), mean / 12.0, rounding);
    EXPECT_NEAR(mean_of(scores.model_predictions), model / 12.0, rounding);
}

TEST(NoiseScores, LeaveVoxelsOutThatAreUnknownAnywhere)
{
    Recording recording = simulate(50, 4, 1.0F, 3);
    for (std::size_t image = 0; image < 50; ++image) recording.trials[2][image * 4 + 1] = 7.0F;
    const std::vector<float> snr(4, 1.0F);

    const NoiseScores scores = noise_scores(recording.views(), recording.signal, snr);

    EXPECT_EQ(scores.single_trials.size(), 18U);
    EXPECT_EQ(scores.model_predictions.size(), 9U);
}

TEST(NoiseTests, FindThatANoiselessModelIsBetterThanTrials)
{
    const Recording recording = simulate(100, 40, 1.5F, 4);
    const std::vector<float> snr(40, 1.0F / 1.5F);
    const NoiseScores scores = noise_scores(recording.views(), recording.signal, snr);

    for (const Compat compat : {Compat::corrected, Compat::reference}) {
        const auto tests = noise_tests(scores, compat, {5, 0, 0, 999});

        const std::vector<double> p{tests[0].p(), tests[1].p()};
        EXPECT_EQ(rejected_at_fdr(p), (std::vector<bool>{true, true}));
        EXPECT_NEAR(tests[0].observed,
                    mean_of(scores.model_predictions) - mean_of(scores.mean_of_two), 1e-12);
        EXPECT_NEAR(tests[1].observed, mean_of(scores.mean_of_two) - mean_of(scores.single_trials),
                    1e-12);
    }
}

TEST(NoiseTests, AreExactWithinVoxelsAndTooCautiousWhereVoxelsThatDifferAreExchanged)
{
    // Predictions are as good as the mean of two trials: there is nothing to be found.
    constexpr std::uint32_t studies = 300, steps = 100;
    constexpr std::size_t voxels = 20;
    std::mt19937_64 engine(9);
    std::normal_distribution<double> normal;
    std::vector<double> within, pooled;
    for (std::uint32_t study = 0; study < studies; ++study) {
        NoiseScores scores;
        std::array<std::vector<double>, 2> of_condition;
        for (auto& values : of_condition) values.resize(voxels);
        for (std::size_t voxel = 0; voxel < voxels; ++voxel) {
            const double quality = 0.3 * normal(engine);  // shared by both conditions
            for (auto& values : of_condition) values[voxel] = quality + 0.1 * normal(engine);
        }
        for (std::size_t evaluation = 0; evaluation < 3; ++evaluation)
            for (std::size_t voxel = 0; voxel < voxels; ++voxel) {
                scores.model_predictions.push_back(of_condition[0][voxel] + 0.02 * normal(engine));
                scores.mean_of_two.push_back(of_condition[1][voxel] + 0.02 * normal(engine));
            }
        scores.single_trials.assign(6 * voxels, 0.0);
        const PermutationBlock block{2, study, 0, steps - 1};
        within.push_back(noise_tests(scores, Compat::corrected, block)[0].p());
        pooled.push_back(noise_tests(scores, Compat::reference, block)[0].p());
    }

    EXPECT_LT(distance_from_uniform(within, steps), 1.95 / std::sqrt(studies));
    EXPECT_LE(std::ranges::count_if(pooled, [](double p) { return p <= 0.05; }), 6);  // 15 expected
}

TEST(NoiseScores, OfImagesInAnotherOrderAreThoseOfPredictorsThatWereMoved)
{
    const Recording recording = simulate(40, 3, 1.0F, 12);
    const std::vector<float> snr(3, 1.0F);
    std::vector<std::uint32_t> order(40);
    for (std::uint32_t image = 0; image < 40; ++image) order[image] = (7 * image + 3) % 40;
    std::vector<float> moved;
    for (const std::uint32_t image : order)
        for (std::size_t voxel = 0; voxel < 3; ++voxel)
            moved.push_back(recording.signal[image * 3 + voxel]);

    const NoiseScores scores = noise_scores(recording.views(), recording.signal, snr, order);

    for (std::size_t target = 0; target < 3; ++target)
        for (std::size_t voxel = 0; voxel < 3; ++voxel)
            EXPECT_NEAR(scores.model_predictions[target * 3 + voxel],
                        naive_accuracy(moved, recording.trials[target], 3, voxel, 1.0, 1.0), 1e-12);
    EXPECT_LT(mean_of(scores.mean_of_two), 0.2);
}

TEST(SignFlips, HaveTheDistributionOfAllSigns)
{
    const std::vector<double> differences{0.7, -0.2, 0.5, 0.1, 0.9, -0.4, 0.3};
    std::vector<double> all;
    std::uint32_t as_large = 0;
    for (std::uint32_t signs = 0; signs < 128; ++signs) {
        double sum = 0.0;
        for (std::size_t at = 0; at < 7; ++at)
            sum += (signs >> at & 1U) != 0U ? -differences[at] : differences[at];
        all.push_back(sum / 7.0);
        as_large += sum / 7.0 >= 1.9 / 7.0 - 1e-12 ? 1U : 0U;
    }
    constexpr std::uint32_t draws = 20'000;

    const PermutationTest test = flip_signs(differences, {3, 0, 0, draws});

    const double wanted = as_large / 128.0;
    EXPECT_NEAR(test.observed, 1.9 / 7.0, 1e-15);
    EXPECT_NEAR(test.p(), wanted, 4.0 * std::sqrt(wanted * (1.0 - wanted) / draws));
    EXPECT_NEAR(test.sd() / sd_of(all), 1.0, 4.0 / std::sqrt(2.0 * draws) + 1.0 / 256.0);
}

TEST(SignFlips, OfOnePairAreOneHalfAtBestAndOfManyFindASmallEffect)
{
    EXPECT_NEAR(flip_signs(std::vector<double>{0.3}, {1, 0, 0, 9999}).p(), 0.5, 0.02);
    EXPECT_EQ(flip_signs(std::vector<double>{0.0, 0.0}, {1, 0, 0, 99}).p(), 1.0);
    EXPECT_TRUE(std::isnan(flip_signs(std::vector<double>{0.1, std::nan("")}, {1, 0, 0, 9}).p()));
    std::vector<double> many(200);
    for (std::size_t at = 0; at < many.size(); ++at) many[at] = at % 3 == 0 ? -0.1 : 0.1;

    EXPECT_EQ(flip_signs(many, {1, 0, 0, 999}).p(), 1e-3);
    const PermutationTest first = flip_signs(many, {1, 0, 0, 500});
    PermutationTest both = first;
    both.merge(flip_signs(many, {1, 0, 500, 499}));
    EXPECT_EQ(both.p(), 1e-3);
}

/// Null values of a full shuffle of the pooled values, cut after `split`.
std::vector<double> naive_null(const std::vector<double>& first, const std::vector<double>& second,
                               std::size_t split, std::size_t draws)
{
    std::vector<double> pooled = first;
    pooled.insert(pooled.end(), second.begin(), second.end());
    std::mt19937_64 engine(6);
    std::vector<double> null;
    for (std::size_t draw = 0; draw < draws; ++draw) {
        std::shuffle(pooled.begin(), pooled.end(), engine);
        const std::span<const double> all(pooled);
        null.push_back(mean_of(all.first(split)) - mean_of(all.subspan(split)));
    }
    return null;
}

TEST(GroupDifference, HasTheDistributionOfAFullShuffle)
{
    const std::vector<double> first{0.1, 0.9, 0.4, 1.7};
    const std::vector<double> second{0.3, 2.5, 0.2, 0.8, 0.6, 1.1, 0.5};
    constexpr std::uint32_t draws = 3000;
    for (const std::size_t split : {std::size_t{4}, std::size_t{5}, std::size_t{7}}) {
        const std::vector<double> wanted = naive_null(first, second, split, draws);
        std::vector<double> null;
        for (std::uint32_t t = 0; t < draws; ++t)
            null.push_back(permute_groups(first, second, split, {7, 0, t, 1}).mean());

        EXPECT_NEAR(mean_of(null), mean_of(wanted), 4.0 * sd_of(wanted) * std::sqrt(2.0 / draws));
        EXPECT_NEAR(sd_of(null) / sd_of(wanted), 1.0, 4.0 / std::sqrt(draws));
        EXPECT_LT(largest_distance(null, wanted), distance_bound(draws, draws));
    }
}

TEST(GroupDifference, GivesUniformPValuesWhereGroupsDoNotDiffer)
{
    constexpr std::uint32_t studies = 600;
    constexpr std::uint32_t iterations = 99;
    std::mt19937_64 engine(8);
    std::exponential_distribution<double> skewed;
    std::vector<double> p;
    for (std::uint32_t study = 0; study < studies; ++study) {
        std::vector<double> first(9);
        std::vector<double> second(18);
        for (double& value : first) value = skewed(engine);
        for (double& value : second) value = skewed(engine);
        p.push_back(permute_groups(first, second, 9, {9, study, 0, iterations}).p());
    }

    EXPECT_LT(distance_from_uniform(p, iterations + 1), 1.95 / std::sqrt(studies));
}

TEST(GroupDifference, CountsTheObservedSplitHoweverItsSumsAreRounded)
{
    const std::vector<double> first{0.3, 0.5};
    const std::vector<double> second{0.4, 0.1, 0.2};
    constexpr std::uint32_t draws = 3000;

    const double p = permute_groups(first, second, 2, {4, 0, 0, draws}, Tail::at_least).p();

    // Of the ten pairs, 0.3 + 0.5 and 0.4 + 0.5 reach the observed difference.
    EXPECT_NEAR(p, 0.2, 4.0 * std::sqrt(0.2 * 0.8 / draws));
}

TEST(GroupDifference, IsUnknownWhereAValueIs)
{
    const std::vector<double> first{0.1, std::nan(""), 0.4};
    const std::vector<double> second{0.3, 2.5};

    EXPECT_TRUE(std::isnan(permute_groups(first, second, 3, {1, 0, 0, 9}).p()));
    EXPECT_THROW(permute_groups(first, second, 5, {}), Error);
}

}  // namespace
}  // namespace twinscreen
