#include <gtest/gtest.h>

#include "engine/base/error.hpp"
#include "experiments/relational_control/univariate/univariate_null.hpp"
#include "tests/unit/rnc_null_support.hpp"

namespace twinscreen {
namespace {

/// Lists of images that share some of them.
struct Lists {
    std::array<std::vector<std::uint32_t>, 4> controlling;
    std::array<std::vector<std::uint32_t>, 2> baseline;

    ControlSets sets() const
    {
        return {{controlling[0], controlling[1], controlling[2], controlling[3]},
                {baseline[0], baseline[1]}};
    }
};

Lists random_lists(std::uint32_t images, std::size_t size, std::uint64_t seed)
{
    std::mt19937_64 engine(seed);
    Lists lists;
    for (auto& list : lists.controlling) list = random_ids(size, images, engine);
    for (auto& list : lists.baseline) list = random_ids(size, images, engine);
    return lists;
}

/// Effect of a condition in an area where image i gets the responses of image labels[i].
double naive_effect(const std::vector<float>& responses, const Lists& lists,
                    const std::vector<std::uint32_t>& labels, std::size_t c, std::size_t area)
{
    const auto mean = [&](const std::vector<std::uint32_t>& ids) {
        double sum = 0.0;
        for (const std::uint32_t id : ids)
            sum += static_cast<double>(responses[2 * labels[id] + area]);
        return sum / static_cast<double>(ids.size());
    };
    return mean(lists.controlling[c]) - mean(lists.baseline[area]);
}

std::vector<std::uint32_t> identity(std::uint32_t images)
{
    std::vector<std::uint32_t> labels(images);
    for (std::uint32_t i = 0; i < images; ++i) labels[i] = i;
    return labels;
}

TEST(UnivariateNull, ObservesTheDifferenceFromTheBaselineOfEachArea)
{
    const std::vector<float> responses = normal_table(200, 2, 1);
    const Lists lists = random_lists(200, 12, 2);

    const ControlTests tests = permute_images(responses, lists.sets(), {});

    for (std::size_t c = 0; c < 4; ++c)
        for (std::size_t area = 0; area < 2; ++area)
            EXPECT_NEAR(tests[c][area].observed,
                        naive_effect(responses, lists, identity(200), c, area), 1e-14);
}

TEST(UnivariateNull, TestsNothingInAnAreaThatAnswersAlwaysTheSame)
{
    std::vector<float> responses = normal_table(200, 2, 1);
    for (std::size_t at = 1; at < responses.size(); at += 2) responses[at] = 0.3F;

    const ControlTests tests =
        permute_images(responses, random_lists(200, 25, 2).sets(), {1, 0, 0, 1000});

    for (std::size_t c = 0; c < 4; ++c) {
        EXPECT_FALSE(std::isnan(tests[c][0].p()));
        EXPECT_EQ(tests[c][1].observed, 0.0);
        EXPECT_TRUE(std::isnan(tests[c][1].p())) << tests[c][1].p();
    }
}

TEST(UnivariateNull, HasTheDistributionOfAFullShuffleOfAllImages)
{
    constexpr std::uint32_t images = 90;  // few, so that images which occur twice matter
    constexpr std::uint32_t draws = 3000;
    const std::vector<float> responses = normal_table(images, 2, 3);
    const Lists lists = random_lists(images, 12, 4);
    std::mt19937_64 engine(5);
    std::vector<std::uint32_t> labels = identity(images);
    std::array<std::array<std::vector<double>, 2>, 4> full;
    std::array<std::array<std::vector<double>, 2>, 4> reduced;

    for (std::uint32_t t = 0; t < draws; ++t) {
        std::shuffle(labels.begin(), labels.end(), engine);
        const ControlTests one = permute_images(responses, lists.sets(), {6, 0, t, 1});
        for (std::size_t c = 0; c < 4; ++c)
            for (std::size_t area = 0; area < 2; ++area) {
                full[c][area].push_back(naive_effect(responses, lists, labels, c, area));
                reduced[c][area].push_back(one[c][area].mean());
            }
    }

    for (std::size_t c = 0; c < 4; ++c)
        for (std::size_t area = 0; area < 2; ++area) {
            const double sd = sd_of(full[c][area]);
            EXPECT_NEAR(mean_of(reduced[c][area]), mean_of(full[c][area]),
                        4.0 * sd * std::sqrt(2.0 / draws));  // 4 standard errors
            EXPECT_NEAR(sd_of(reduced[c][area]) / sd, 1.0, 4.0 / std::sqrt(draws));
            EXPECT_LT(largest_distance(full[c][area], reduced[c][area]),
                      distance_bound(draws, draws));
        }
}

TEST(UnivariateNull, KeepsTheCorrelationOfTheTwoAreas)
{
    std::vector<float> responses = normal_table(300, 2, 7);
    for (std::size_t i = 0; i < 300; ++i) responses[2 * i + 1] = responses[2 * i];
    Lists lists = random_lists(300, 20, 8);
    lists.baseline[1] = lists.baseline[0];

    const ControlTests tests = permute_images(responses, lists.sets(), {9, 0, 0, 500});

    EXPECT_EQ(tests[0][0].more_extreme, tests[0][1].more_extreme);
    EXPECT_EQ(tests[0][0].sum, tests[0][1].sum);
}

TEST(UnivariateNull, GivesUniformPValuesWhereTheImagesHaveNoEffect)
{
    constexpr std::uint32_t studies = 600;
    constexpr std::uint32_t iterations = 99;
    std::array<std::vector<double>, 4> p;
    for (std::uint32_t study = 0; study < studies; ++study) {
        const std::vector<float> responses = normal_table(60, 2, 100 + study);
        const Lists lists = random_lists(60, 5, 1000 + study);
        const ControlTests tests =
            permute_images(responses, lists.sets(), {10, study, 0, iterations});
        for (std::size_t c = 0; c < 4; ++c) p[c].push_back(tests[c][c % 2].p());
    }

    // Once in a thousand times one sample is farther away than this.
    for (const auto& values : p)
        EXPECT_LT(distance_from_uniform(values, iterations + 1), 1.95 / std::sqrt(studies));
}

TEST(UnivariateNull, TestsEachAreaInTheDirectionOfTheCondition)
{
    std::vector<float> responses = normal_table(500, 2, 11);
    const Lists lists = random_lists(500, 25, 12);
    for (const std::uint32_t id : lists.controlling[2]) {  // high, low
        responses[std::size_t{2} * id] += 3.0F;
        responses[std::size_t{2} * id + 1] -= 3.0F;
    }
    for (const std::uint32_t id : lists.controlling[3]) {  // the other way round
        responses[std::size_t{2} * id] += 3.0F;
        responses[std::size_t{2} * id + 1] -= 3.0F;
    }

    const ControlTests tests = permute_images(responses, lists.sets(), {13, 0, 0, 999});

    EXPECT_EQ(tests[2][0].p(), 0.001);
    EXPECT_EQ(tests[2][1].p(), 0.001);
    EXPECT_EQ(tests[3][0].p(), 1.0);
    EXPECT_EQ(tests[3][1].p(), 1.0);
}

TEST(UnivariateNull, GivesAnImageOfSeveralSetsOneLabel)
{
    const std::vector<float> responses = normal_table(100, 2, 14);
    Lists lists = random_lists(100, 10, 15);
    lists.controlling[0] = lists.baseline[0];

    const ControlTests tests = permute_images(responses, lists.sets(), {16, 0, 0, 200});

    EXPECT_EQ(tests[0][0].observed, 0.0);
    EXPECT_EQ(tests[0][0].squares, 0.0);
    EXPECT_TRUE(std::isnan(tests[0][0].p()));  // none could be above 0
}

TEST(UnivariateNull, CountsTheSameHoweverIterationsAreCut)
{
    const std::vector<float> responses = normal_table(150, 2, 17);
    const Lists lists = random_lists(150, 8, 18);
    const ControlTests whole = permute_images(responses, lists.sets(), {19, 3, 0, 300});

    ControlTests merged = permute_images(responses, lists.sets(), {19, 3, 0, 101});
    const ControlTests rest = permute_images(responses, lists.sets(), {19, 3, 101, 199});

    for (std::size_t c = 0; c < 4; ++c)
        for (std::size_t area = 0; area < 2; ++area) {
            merged[c][area].merge(rest[c][area]);
            EXPECT_EQ(merged[c][area].more_extreme, whole[c][area].more_extreme);
            EXPECT_EQ(merged[c][area].iterations, 300U);
            EXPECT_NEAR(merged[c][area].sd(), whole[c][area].sd(), 1e-12);
        }
    EXPECT_THROW(merged[0][0].merge(rest[1][0]), Error);
}

TEST(UnivariateNull, KnowsNothingOfASetWithoutImages)
{
    const std::vector<float> responses = normal_table(100, 2, 20);
    Lists lists = random_lists(100, 10, 21);
    lists.controlling[1].clear();
    lists.controlling[2].resize(3);

    const ControlTests tests = permute_images(responses, lists.sets(), {22, 0, 0, 99});

    EXPECT_TRUE(std::isnan(tests[1][0].observed));
    EXPECT_TRUE(std::isnan(tests[1][0].p()));
    EXPECT_FALSE(std::isnan(tests[2][0].p()));
}

TEST(UnivariateNull, RefusesUnknownResponsesAndUnknownImages)
{
    std::vector<float> responses = normal_table(100, 2, 23);
    const Lists lists = random_lists(100, 10, 24);
    Lists outside = lists;
    outside.baseline[1][0] = 100;

    EXPECT_THROW(permute_images(responses, outside.sets(), {}), Error);
    responses[5] = std::nanf("");
    EXPECT_THROW(permute_images(responses, lists.sets(), {}), Error);
}

}  // namespace
}  // namespace twinscreen
