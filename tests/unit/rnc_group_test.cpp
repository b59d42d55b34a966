#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <random>

#include <gtest/gtest.h>

#include "experiments/relational_control/statistics/group_statistics.hpp"
#include "experiments/relational_control/statistics/subject_summary.hpp"

namespace twinscreen {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

TEST(ChangedVerdicts, NameTestsThatTheOtherSettingWouldJudgeOtherwise)
{
    const std::vector<std::string> names{"kept", "lost", "found", "new", "gone", "unknown"};
    const std::vector<double> marks{1.0, 1.0, 0.0, nan, 1.0, nan};
    const std::vector<double> others{0.001, 0.9, 0.001, 0.001, nan, nan};

    const auto lines = changed_verdicts("V1 in a", names, marks, others, Compat::corrected);

    EXPECT_EQ(lines, (std::vector<std::string>{
                         "  V1 in a, lost: would not be significant with compat = \"reference\"",
                         "  V1 in a, found: would be significant with compat = \"reference\"",
                         "  V1 in a, new: would be significant with compat = \"reference\""}));
    EXPECT_NE(changed_verdicts("", names, marks, others, Compat::reference)
                  .front()
                  .find("compat = \"corrected\""),
              std::string::npos);
}

TEST(PermutationP, CountsTheObservedValueAmongTheNullValues)
{
    EXPECT_DOUBLE_EQ(permutation_p(0, 99'999), 1e-5);
    EXPECT_DOUBLE_EQ(permutation_p(4, 9), 0.5);
    EXPECT_DOUBLE_EQ(permutation_p(9, 9), 1.0);
}

/// The p-values that remain at a rate of `alpha`, by the definition: k is tried from m down.
std::vector<bool> naive_fdr(std::vector<double> p, double alpha)
{
    std::vector<double> sorted = p;
    std::sort(sorted.begin(), sorted.end());
    const auto m = static_cast<double>(p.size());
    std::vector<bool> rejected(p.size(), false);
    for (std::size_t k = p.size(); k > 0; --k) {
        if (sorted[k - 1] > static_cast<double>(k) * alpha / m) continue;
        for (std::size_t i = 0; i < p.size(); ++i) rejected[i] = p[i] <= sorted[k - 1];
        break;
    }
    return rejected;
}

TEST(FalseDiscoveryRate, AgreesWithScipyOnPublishedPValues)
{
    // Scipy 1.17: (scipy.stats.false_discovery_control(p) <= alpha).sum() of these 25 p-values
    // is 1 at 0.05 and 6 at 0.25.
    const std::vector<double> p{0.001, 0.008, 0.039, 0.041, 0.042, 0.06,  0.074, 0.205, 0.212,
                                0.216, 0.222, 0.251, 0.269, 0.275, 0.34,  0.341, 0.384, 0.569,
                                0.594, 0.696, 0.762, 0.94,  0.942, 0.975, 0.986};

    const auto strict = rejected_at_fdr(p);
    const auto loose = rejected_at_fdr(p, 0.25);

    EXPECT_EQ(std::count(strict.begin(), strict.end(), true), 1);
    EXPECT_EQ(std::count(loose.begin(), loose.end(), true), 6);
    EXPECT_TRUE(strict[0]);
}

TEST(FalseDiscoveryRate, AgreesWithTheDefinitionOnRandomFamilies)
{
    std::mt19937_64 engine(5);
    std::uniform_real_distribution<double> uniform;
    for (int family = 0; family < 500; ++family) {
        std::vector<double> p(1 + engine() % 9);
        for (double& value : p) value = std::pow(uniform(engine), 3.0);

        EXPECT_EQ(rejected_at_fdr(p), naive_fdr(p, 0.05));
    }
}

TEST(FalseDiscoveryRate, DoesNotCountTestsThatWereNotMade)
{
    // Among four tests 0.02 would need to be at most 0.0125; among two, 0.025.
    const std::vector<double> p{0.02, nan, 0.5, nan};

    EXPECT_EQ(rejected_at_fdr(p), (std::vector<bool>{true, false, false, false}));
    EXPECT_EQ(rejected_at_fdr(std::vector<double>{nan}), std::vector<bool>{false});
    EXPECT_TRUE(rejected_at_fdr({}).empty());
}

TEST(BinomialSurvival, HasAllDigitsOfScipy)
{
    // scipy 1.17: [scipy.stats.binom.sf(k - 1, n, 0.05) for k in range(1, n + 1)]
    const std::array<double, 8> eight{
        0.3365795687109375, 0.05724465027343749,    0.0057882179296875,     0.00037175136718750005,
        1.54048828125e-05,  4.0082031250000003e-07, 5.9765625000000015e-09, 3.906250000000002e-11};
    const std::array<double, 7> seven{0.30166270390625005,    0.044380542187499976,
                                      0.003757042968749998,   0.00019357812499999996,
                                      6.0273437499999995e-06, 1.0468750000000002e-07,
                                      7.812500000000003e-10};
    const std::array<double, 6> six{0.26490810937500003,    0.032773828124999994,
                                    0.00222984375,          8.640625000000002e-05,
                                    1.7968750000000005e-06, 1.5625000000000006e-08};
    constexpr double relative = 1e-14;  // a sum of at most eight products

    for (std::uint32_t k = 1; k <= 8; ++k)
        EXPECT_NEAR(binomial_survival(k, 8) / eight[k - 1], 1.0, relative);
    for (std::uint32_t k = 1; k <= 7; ++k)
        EXPECT_NEAR(binomial_survival(k, 7) / seven[k - 1], 1.0, relative);
    for (std::uint32_t k = 1; k <= 6; ++k)
        EXPECT_NEAR(binomial_survival(k, 6) / six[k - 1], 1.0, relative);
    EXPECT_EQ(binomial_survival(0, 8), 1.0);
    EXPECT_EQ(binomial_survival(9, 8), 0.0);
}

/// Bounds over all S^S ordered resamples, each of the same probability.
Interval bounds_of_all_resamples(const std::vector<double>& subjects)
{
    const std::size_t count = subjects.size();
    const auto all = static_cast<std::size_t>(std::pow(count, count));
    std::vector<double> means;
    for (std::size_t code = 0; code < all; ++code) {
        double sum = 0.0;
        for (std::size_t rest = code, at = 0; at < count; ++at, rest /= count)
            sum += subjects[rest % count];
        means.push_back(sum / static_cast<double>(count));
    }
    std::sort(means.begin(), means.end());
    const auto reaches = [&](std::size_t part) { return means[(part * all + 39) / 40 - 1]; };
    return {reaches(1), reaches(39)};
}

TEST(BootstrapMean, IsExactForFewSubjects)
{
    const std::vector<double> five{0.31, -0.02, 0.18, 0.44, 0.07};
    const Interval wanted = bounds_of_all_resamples(five);

    const Interval interval = bootstrap_mean(five);

    constexpr double rounding = 1e-15;
    EXPECT_NEAR(interval.low, wanted.low, rounding);
    EXPECT_NEAR(interval.high, wanted.high, rounding);
}

TEST(BootstrapMean, OfEightSubjectsIsTheOneOfAllMultisets)
{
    // Python, with integers: sums over itertools.combinations_with_replacement(range(8), 8),
    // weighted by 8! / product of factorials of the multiplicities.
    const std::vector<double> eight{0.31, -0.02, 0.18, 0.44, 0.07, 0.25, 0.12, 0.39};

    const Interval interval = bootstrap_mean(eight);

    EXPECT_NEAR(interval.low, 0.115, 1e-15);
    EXPECT_NEAR(interval.high, 0.32, 1e-15);
}

TEST(BootstrapMean, DrawnAndExactBoundsAgree)
{
    const std::vector<double> eight{0.31, -0.02, 0.18, 0.44, 0.07, 0.25, 0.12, 0.39};
    const Interval exact = bootstrap_mean(eight);

    const Interval drawn = bootstrap_mean(eight, {.exact_if_few = false, .seed = 20200220});

    constexpr double grid = 0.0025;  // two steps of the resampled means
    EXPECT_NEAR(drawn.low, exact.low, grid);
    EXPECT_NEAR(drawn.high, exact.high, grid);
}

TEST(BootstrapMean, OfManySubjectsCoversTheTrueMean)
{
    std::mt19937_64 engine(3);
    std::normal_distribution<double> normal(1.0, 2.0);
    int covered = 0;
    for (std::uint64_t study = 0; study < 100; ++study) {
        std::vector<double> subjects(40);
        for (double& value : subjects) value = normal(engine);
        const Interval interval = bootstrap_mean(subjects, {.resamples = 500, .seed = study});
        covered += interval.low < 1.0 && 1.0 < interval.high ? 1 : 0;
    }
    EXPECT_GE(covered, 87);  // nominal 95, of which 87 are 3.7 standard deviations away
}

TEST(BootstrapMean, LeavesUnknownSubjectsOut)
{
    const std::vector<double> with_nan{0.31, nan, -0.02, 0.18};
    const std::vector<double> without{0.31, -0.02, 0.18};

    EXPECT_EQ(bootstrap_mean(with_nan).low, bootstrap_mean(without).low);
    EXPECT_EQ(bootstrap_mean(with_nan).high, bootstrap_mean(without).high);
    EXPECT_EQ(bootstrap_mean(std::vector<double>{nan, 0.5}).low, 0.5);
    EXPECT_EQ(bootstrap_mean(std::vector<double>{nan, 0.5}).high, 0.5);
    EXPECT_TRUE(std::isnan(bootstrap_mean({}).low));
}

}  // namespace
}  // namespace twinscreen
