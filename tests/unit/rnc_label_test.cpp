#include <gtest/gtest.h>

#include "engine/base/error.hpp"
#include "experiments/relational_control/statistics/label_tests.hpp"
#include "experiments/statistics.hpp"
#include "tests/unit/rnc_null_support.hpp"

namespace twinscreen {
namespace {

constexpr std::size_t areas = 4;
const std::vector<AreaPair> pairs{{0, 1}, {0, 2}, {0, 3}, {1, 2}, {1, 3}, {2, 3}};
const PairGroups by_distance{{0, 3, 5}, {1, 4}, {2}};
const PairGroups by_category{{0, 5}, {1, 2, 3, 4}};

/// Everything a study needs, with the images that it borrows.
struct Images {
    std::vector<float> responses;
    std::vector<std::array<std::vector<std::uint32_t>, 4>> sets;
    std::vector<std::vector<std::uint32_t>> baselines;

    LabelStudy study(const PairGroups& groups) const
    {
        LabelStudy result{responses, areas, pairs, groups, {}, {}};
        for (const auto& of_pair : sets)
            result.sets.push_back({of_pair[0], of_pair[1], of_pair[2], of_pair[3]});
        result.baselines.assign(baselines.begin(), baselines.end());
        return result;
    }
};

Images random_images(std::uint32_t images, std::size_t size, std::uint64_t seed)
{
    std::mt19937_64 engine(seed);
    Images result{normal_table(images, areas, seed + 1), {}, {}};
    for (std::size_t pair = 0; pair < pairs.size(); ++pair)
        for (auto& ids : result.sets.emplace_back()) ids = random_ids(size, images, engine);
    for (std::size_t area = 0; area < areas; ++area)
        result.baselines.push_back(random_ids(size, images, engine));
    return result;
}

/// m_j of one condition from the formula, with responses as they stand in `responses`.
std::vector<double> naive_means(const Images& images, const std::vector<float>& responses,
                                const PairGroups& groups, std::size_t condition)
{
    const auto u = [&](std::uint32_t image, std::size_t area) {
        return static_cast<double>(responses[image * areas + area]);
    };
    std::vector<double> baseline(areas, 0.0);
    for (std::size_t area = 0; area < areas; ++area)
        for (const std::uint32_t image : images.baselines[area])
            baseline[area] += u(image, area) / static_cast<double>(images.baselines[area].size());
    std::vector<double> means;
    for (const auto& group : groups) {
        double sum = 0.0;
        double count = 0.0;
        for (const std::uint32_t pair : group)
            for (const std::size_t area : {pairs[pair].first, pairs[pair].second})
                for (const std::uint32_t image : images.sets[pair][condition]) {
                    sum += std::fabs(u(image, area) - baseline[area]);
                    count += 1.0;
                }
        means.push_back(sum / count);
    }
    return means;
}

/// Null values of the published trend in one condition: `naive` from shuffled responses, `reduced`
/// from one iteration each.
struct TwoNulls {
    std::vector<double> naive;
    std::vector<double> reduced;

    void expect_same_distribution() const
    {
        const auto draws = static_cast<double>(naive.size());
        const double sd = sd_of(naive);
        EXPECT_NEAR(mean_of(reduced), mean_of(naive), 4.0 * sd * std::sqrt(2.0 / draws));
        EXPECT_NEAR(sd_of(reduced) / sd, 1.0, 4.0 / std::sqrt(draws));
        EXPECT_LT(largest_distance(naive, reduced), distance_bound(naive.size(), reduced.size()));
    }
};

TEST(AreaLabels, ObserveTheDistancesFromTheBaselines)
{
    const Images images = random_images(300, 12, 1);

    const ConditionTrends tests = permute_area_labels(images.study(by_distance), {});

    for (std::size_t condition = 0; condition < 4; ++condition) {
        const auto means = naive_means(images, images.responses, by_distance, condition);
        for (std::size_t group = 0; group < 3; ++group)
            EXPECT_NEAR(tests[condition].group_means[group], means[group], 1e-14);
        const double falls = means[0] - means[2];
        const bool aligns = condition < 2;
        EXPECT_NEAR(tests[condition].test(Trend::ends).observed, aligns ? falls : -falls, 1e-14);
    }
}

TEST(AreaLabels, AreThoseOfAllImagesRelabelled)
{
    Images images = random_images(120, 10, 2);
    for (std::size_t at = 0; at < images.responses.size(); ++at)
        images.responses[at] += 0.4F * static_cast<float>(at % areas);  // areas that differ
    std::mt19937_64 engine(3);
    TwoNulls nulls;
    for (std::uint32_t t = 0; t < 3000; ++t) {
        std::vector<float> relabelled = images.responses;
        for (auto row = relabelled.begin(); row != relabelled.end(); row += areas)
            std::shuffle(row, row + areas, engine);
        const auto means = naive_means(images, relabelled, by_distance, 0);
        nulls.naive.push_back(means[0] - means[2]);
        nulls.reduced.push_back(permute_area_labels(images.study(by_distance), {4, 0, t, 1})[0]
                                    .test(Trend::ends)
                                    .mean());
    }

    nulls.expect_same_distribution();
}

TEST(AreaPositions, AreThoseOfAFullShuffleOfAllResponses)
{
    const Images images = random_images(80, 10, 5);
    std::mt19937_64 engine(6);
    std::vector<float> shuffled = images.responses;
    TwoNulls nulls;
    for (std::uint32_t t = 0; t < 3000; ++t) {
        std::shuffle(shuffled.begin(), shuffled.end(), engine);
        const auto means = naive_means(images, shuffled, by_category, 2);
        nulls.naive.push_back(means[1] - means[0]);  // disentangling: rises
        nulls.reduced.push_back(permute_area_positions(images.study(by_category), {7, 0, t, 1})[2]
                                    .test(Trend::ends)
                                    .mean());
    }

    nulls.expect_same_distribution();
}

TEST(LabelCorrelationTest, HasTheDistributionOfNaiveRelabelling)
{
    std::vector<float> responses = normal_table(60, areas, 8);
    for (std::size_t at = 1; at < responses.size(); ++at) responses[at] += 0.5F * responses[at - 1];
    std::mt19937_64 engine(9);
    TwoNulls nulls;
    for (std::uint32_t t = 0; t < 2000; ++t) {
        std::vector<float> relabelled = responses;
        for (auto row = relabelled.begin(); row != relabelled.end(); row += areas)
            std::shuffle(row, row + areas, engine);
        const auto column = [&](std::size_t area) {
            std::vector<double> values;
            for (std::size_t at = area; at < relabelled.size(); at += areas)
                values.push_back(static_cast<double>(relabelled[at]));
            return values;
        };
        const auto r = [&](std::size_t a, std::size_t b) { return pearson(column(a), column(b)); };
        nulls.naive.push_back((r(0, 1) + r(1, 2) + r(2, 3)) / 3.0 - r(0, 3));
        nulls.reduced.push_back(
            permute_correlations(responses, areas, pairs, by_distance, {10, 0, t, 1})
                .test(Trend::ends)
                .mean());
    }

    nulls.expect_same_distribution();
}

TEST(LabelTests, GiveUniformPValuesWhereAreasDoNotDiffer)
{
    constexpr std::uint32_t studies = 500;
    constexpr std::uint32_t iterations = 99;
    std::array<std::vector<double>, 5> p;
    for (std::uint32_t study = 0; study < studies; ++study) {
        const Images images = random_images(40, 4, 100 + study);
        const PermutationBlock block{11, study, 0, iterations};
        const auto labels = permute_area_labels(images.study(by_distance), block);
        const auto places = permute_area_positions(images.study(by_category), block);
        const auto all = permute_correlations(images.responses, areas, pairs, by_distance, block);
        p[0].push_back(labels[0].test(Trend::ends).p());
        p[1].push_back(labels[2].test(Trend::smallest_step).p());
        p[2].push_back(places[1].test(Trend::ends).p());
        p[3].push_back(places[3].test(Trend::ends).p());
        p[4].push_back(all.test(Trend::slope).p());
    }

    // Once in a thousand times one sample is farther away than this.
    for (const auto& values : p)
        EXPECT_LT(distance_from_uniform(values, iterations + 1), 1.95 / std::sqrt(studies));
}

TEST(LabelTests, FindCorrelationsThatFallWithDistance)
{
    std::vector<float> responses = normal_table(400, areas, 12);
    for (std::size_t at = 0; at < responses.size(); ++at)
        if (at % areas > 0) responses[at] += responses[at - 1];  // each area adds to the one before

    const TrendTests tests =
        permute_correlations(responses, areas, pairs, by_distance, {13, 0, 0, 999});

    for (const Trend trend : {Trend::ends, Trend::slope, Trend::smallest_step})
        EXPECT_EQ(tests.test(trend).p(), 0.001);
}

TEST(LabelTests, CountTheSameHoweverIterationsAreCut)
{
    const Images images = random_images(200, 10, 14);
    const LabelStudy study = images.study(by_distance);
    const ConditionTrends whole = permute_area_labels(study, {15, 2, 0, 200});
    ConditionTrends merged = permute_area_labels(study, {15, 2, 0, 71});
    const ConditionTrends rest = permute_area_labels(study, {15, 2, 71, 129});

    for (std::size_t condition = 0; condition < 4; ++condition) {
        merged[condition].merge(rest[condition]);
        for (const Trend trend : {Trend::ends, Trend::slope, Trend::smallest_step})
            EXPECT_EQ(merged[condition].test(trend).more_extreme,
                      whole[condition].test(trend).more_extreme);
    }
}

TEST(LabelTests, UseTheImagesThatThereAre)
{
    Images images = random_images(100, 10, 16);
    images.sets[0][0].clear();    // one of three pairs of the nearest distance
    images.sets[2][1].clear();    // the only pair of the farthest
    images.sets[1][2].resize(3);  // a short one

    const ConditionTrends tests = permute_area_labels(images.study(by_distance), {17, 0, 0, 50});

    const auto means = naive_means(images, images.responses, by_distance, 0);
    EXPECT_NEAR(tests[0].group_means[0], means[0], 1e-14);
    EXPECT_FALSE(std::isnan(tests[0].test(Trend::ends).p()));
    EXPECT_TRUE(std::isnan(tests[1].test(Trend::ends).p()));
    EXPECT_NEAR(tests[2].group_means[1], naive_means(images, images.responses, by_distance, 2)[1],
                1e-14);
}

TEST(LabelTests, RefuseStudiesThatDoNotFit)
{
    Images images = random_images(100, 10, 18);
    LabelStudy too_many = images.study(by_distance);
    too_many.areas = 5;
    LabelStudy wrong_group = images.study({{0}, {6}});
    images.sets[3][1][0] = 100;

    EXPECT_THROW(permute_area_labels(too_many, {}), Error);
    EXPECT_THROW(permute_area_labels(wrong_group, {}), Error);
    EXPECT_THROW(permute_area_positions(images.study(by_distance), {}), Error);
    EXPECT_THROW(permute_correlations(images.responses, 3, pairs, by_distance, {}), Error);
}

}  // namespace
}  // namespace twinscreen
