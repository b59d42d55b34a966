#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <set>

#include <gtest/gtest.h>

#include "experiments/fit_readout/band_weights.hpp"
#include "experiments/fit_readout/feature_sets.hpp"
#include "experiments/fit_readout/image_split.hpp"
#include "experiments/fit_readout/score_chart.hpp"
#include "tests/support/support.hpp"

namespace {

using namespace twinscreen;

std::vector<std::uint64_t> items(std::uint64_t count)
{
    std::vector<std::uint64_t> all(count);
    std::iota(all.begin(), all.end(), std::uint64_t{0});
    return all;
}

SplitSettings shares(double train, double validation, double test)
{
    SplitSettings settings;
    settings.shares = {train, validation, test};
    return settings;
}

TEST(ImageSplit, SharesAreKeptAndEveryImageHasOneUse)
{
    const ImageSplit split = split_images(shares(0.5, 0.2, 0.3), items(1000), 1);

    ASSERT_EQ(split.groups.size(), 2U);
    EXPECT_EQ(split.groups[0].size(), 500U);
    EXPECT_EQ(split.groups[1].size(), 200U);
    EXPECT_EQ(split.test.size(), 300U);
    EXPECT_EQ(split.held_out, std::vector<std::size_t>{1});
    std::vector<std::uint64_t> all = split.fitted();
    all.insert(all.end(), split.test.begin(), split.test.end());
    std::ranges::sort(all);
    EXPECT_EQ(all, items(1000));
}

TEST(ImageSplit, FoldsDifferByOneImageAtMostAndAreDrawn)
{
    const ImageSplit split = split_images(shares(0.7, 0.0, 0.3), items(103), 1);
    const ImageSplit again = split_images(shares(0.7, 0.0, 0.3), items(103), 1);
    const ImageSplit other = split_images(shares(0.7, 0.0, 0.3), items(103), 2);

    ASSERT_EQ(split.groups.size(), 5U);
    for (const auto& group : split.groups) {
        EXPECT_GE(group.size(), 14U);
        EXPECT_LE(group.size(), 15U);
        EXPECT_TRUE(std::ranges::is_sorted(group));
    }
    EXPECT_EQ(split.groups, again.groups);
    EXPECT_NE(split.groups, other.groups);
    EXPECT_NE(split.test, other.test);
}

TEST(ImageSplit, RangesLeaveOutWhatCouldNotBeRead)
{
    SplitSettings settings;
    settings.train = {0, 20};
    settings.test = {20, 30};
    std::vector<std::uint64_t> usable = items(30);
    std::erase(usable, 3U);
    std::erase(usable, 25U);

    const ImageSplit split = split_images(settings, usable, 1);

    EXPECT_EQ(split.fitted().size(), 19U);
    EXPECT_EQ(split.test, (std::vector<std::uint64_t>{20, 21, 22, 23, 24, 26, 27, 28, 29}));
}

TEST(ImageSplit, TooFewImagesAreNamed)
{
    SplitSettings settings;
    settings.train = {0, 8};
    settings.test = {8, 10};

    EXPECT_NE(test::error_text([&] {
                  split_images(settings, items(20), 1);
              }).find("2 test images remain"),
              std::string::npos);
    settings.test = {8, 20};
    EXPECT_NE(test::error_text([&] {
                  split_images(settings, items(20), 1);
              }).find("8 training images for 5 folds"),
              std::string::npos);
}

TEST(ImageSplit, EqualPicturesAreFoundAcrossUsesAndFolds)
{
    SplitSettings settings;
    settings.train = {0, 20};
    settings.test = {20, 30};
    const ImageSplit split = split_images(settings, items(30), 1);
    std::vector<std::uint64_t> digests = items(30);
    digests[25] = 4;
    digests[split.groups[0][0]] = digests[split.groups[1][0]];

    const std::vector<Leak> leaks = leaks_of(split, digests);

    ASSERT_EQ(leaks.size(), 1U);
    EXPECT_EQ(leaks[0].tested, 25U);
    EXPECT_EQ(digests[leaks[0].fitted], 4U);
    EXPECT_EQ(repeats_over_groups(split, digests), 1U);
}

TEST(ShuffledPlaces, AreAPermutationThatDependsOnTheSeed)
{
    std::vector<std::size_t> places = shuffled_places(500, 3);
    EXPECT_NE(places, shuffled_places(500, 4));
    EXPECT_EQ(places, shuffled_places(500, 3));
    std::size_t stayed = 0;
    for (std::size_t place = 0; place < places.size(); ++place)
        if (places[place] == place) ++stayed;
    EXPECT_LT(stayed, 10U);  // 1 is expected

    std::ranges::sort(places);

    for (std::size_t place = 0; place < places.size(); ++place) EXPECT_EQ(places[place], place);
}

TEST(BandWeights, BeginAlikeThenEachAloneThenDrawnWithMeanOne)
{
    const std::vector<std::uint32_t> band{0, 0, 1, 2};

    const auto candidates = band_weights(band, 3, 20, 1);

    ASSERT_EQ(candidates.size(), 1U + 3U + 20U);
    EXPECT_EQ(candidates[0], (std::vector<double>{1, 1, 1, 1}));
    EXPECT_EQ(candidates[2], (std::vector<double>{0, 0, 3, 0}));
    for (const std::vector<double>& weights : candidates) {
        EXPECT_NEAR(weights[0] + weights[2] + weights[3], 3.0, 1e-12);
        EXPECT_EQ(weights[0], weights[1]);
    }
    EXPECT_NE(candidates[4], candidates[5]);
}

Table units_of(const std::vector<std::array<const char*, 2>>& rows)
{
    std::vector<std::string> twins, areas;
    for (const auto& [twin, area] : rows) {
        twins.emplace_back(twin);
        areas.emplace_back(area);
    }
    return {{{"twin", "", twins}, {"subject", "", twins}, {"area", "", areas}}};
}

TEST(FeatureSets, OneOfEachAreaKnowsItsUntrainedCounterpart)
{
    const Table units = units_of({{"net", "a"},
                                  {"net", "b"},
                                  {"net", "a"},
                                  {"net, untrained", "a"},
                                  {"net, untrained", "b"}});

    const auto sets = feature_sets(units, {{"net, untrained", "net"}}, false);

    ASSERT_EQ(sets.size(), 4U);
    EXPECT_EQ(sets[0].columns, (std::vector<std::uint32_t>{0, 2}));
    EXPECT_EQ(sets[0].untrained, 2U);
    EXPECT_EQ(sets[1].untrained, 3U);
    EXPECT_TRUE(sets[3].is_untrained);
    EXPECT_EQ(gathered(sets[0], std::vector<float>{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, 5),
              (std::vector<double>{1, 3, 6, 8}));
}

TEST(FeatureSets, TogetherIsOneSetOfBands)
{
    const Table units = units_of({{"net", "a"}, {"net", "b"}, {"other", "a"}});

    const auto sets = feature_sets(units, {}, true);

    ASSERT_EQ(sets.size(), 1U);
    EXPECT_EQ(sets[0].twin, "net + other");
    EXPECT_EQ(sets[0].bands, (std::vector<std::string>{"net a", "net b", "other a"}));
    EXPECT_EQ(sets[0].band, (std::vector<std::uint32_t>{0, 1, 2}));
}

TEST(ScoreChart, DrawsEveryLayerAndEscapesNames)
{
    ScoreChart chart{"r", {{"net", "a<b", {0.1, 0.4, 0.3}, 0.2, 0.0}}, {{"ceiling & more", 0.8}}};

    const std::string svg = svg_of(chart);

    EXPECT_NE(svg.find("a&lt;b"), std::string::npos);
    EXPECT_NE(svg.find("ceiling &amp; more"), std::string::npos);
    EXPECT_EQ(svg.find("nan"), std::string::npos);
    chart.rows[0].scores = {std::nan("")};
    chart.rows[0].untrained = std::nan("");
    EXPECT_EQ(svg_of(chart).find("nan"), std::string::npos);
}

}  // namespace
