#include <algorithm>
#include <map>
#include <set>

#include <gtest/gtest.h>

#include "experiments/relational_control/session/luminance.hpp"
#include "experiments/relational_control/session/trial_table.hpp"

namespace twinscreen {
namespace {

Picture filled(int channels, std::vector<std::uint8_t> levels)
{
    const auto width = static_cast<std::int64_t>(levels.size()) / channels;
    Picture picture{1, static_cast<int>(width), channels, false,
                    OwnedBatch(ElementType::u8, {1, width, channels})};
    std::ranges::copy(levels, picture.pixels.values<std::uint8_t>().begin());
    return picture;
}

const std::vector<std::int64_t>& column(const Table& table, const char* name)
{
    return std::get<std::vector<std::int64_t>>(table.find(name)->values);
}

TEST(RelativeLuminance, IsThatOfSrgb)
{
    // Known answers of IEC 61966-2-1: level 188 is nearly half of the light of level 255.
    EXPECT_NEAR(relative_luminance(filled(1, {188})), 0.5029, 1e-4);
    EXPECT_NEAR(relative_luminance(filled(1, {0, 255})), 0.5, 1e-12);
    EXPECT_NEAR(relative_luminance(filled(3, {255, 0, 0})), 0.2126, 1e-12);
    EXPECT_NEAR(relative_luminance(filled(3, {0, 255, 0})), 0.7152, 1e-12);
    EXPECT_NEAR(relative_luminance(filled(3, {0, 0, 255})), 0.0722, 1e-12);
}

TEST(MatchLuminance, BringsDarkAndBrightPicturesToTheGreyLevel)
{
    const double aim = relative_luminance(filled(1, {127}));
    for (const Picture& picture : {filled(1, {10, 40, 90}), filled(1, {200, 250, 255}),
                                   filled(3, {30, 20, 200, 5, 90, 60})}) {
        const Brightened matched = match_luminance(picture, 127.0);

        EXPECT_LT(std::abs(relative_luminance(matched.picture) - aim), 0.01);
        EXPECT_EQ(matched.luminance, relative_luminance(matched.picture));
    }
}

TEST(MatchLuminance, LeavesAPictureThatFitsAsItIs)
{
    const Brightened matched = match_luminance(filled(1, {127, 127}), 127.0);

    EXPECT_EQ(matched.factor, 1.0);
    EXPECT_EQ(matched.picture.pixels.values<std::uint8_t>()[0], 127);
}

TEST(MatchLuminance, EndsForABlackPicture)
{
    EXPECT_EQ(match_luminance(filled(1, {0, 0}), 127.0).luminance, 0.0);
}

TEST(TrialTable, ShowsEveryImageAsOftenAndInEveryRunTheCatchTrials)
{
    const TrialPlan plan{.images = 31, .repetitions = 6, .runs = 4, .catch_trials = 3};
    const Table table = trial_table(plan, 5, 0);

    std::map<std::int64_t, int> shown, caught, trials;
    for (std::size_t row = 0; row < table.rows(); ++row) {
        const std::int64_t run = column(table, "run")[row], image = column(table, "image")[row];
        ++(image == 0 ? caught[run] : shown[image]);
        EXPECT_EQ(column(table, "trial")[row], ++trials[run]);
        EXPECT_EQ(table.number("onset", row), 4.0 * (trials[run] - 1));
    }
    EXPECT_EQ(shown.size(), 31U);
    for (const auto& [image, times] : shown) EXPECT_EQ(times, 6) << image;
    for (const auto& [run, times] : caught) EXPECT_EQ(times, 3) << run;
    for (const auto& [run, count] : trials) EXPECT_NEAR(count, 31 * 6 / 4.0 + 3, 1) << run;
}

TEST(TrialTable, ShowsEachImageOnceBeforeAnyIsShownAgain)
{
    const Table table =
        trial_table({.images = 20, .repetitions = 3, .runs = 1, .catch_trials = 0}, 1, 0);

    const auto& images = column(table, "image");
    for (std::size_t first = 0; first < images.size(); first += 20)
        EXPECT_EQ(std::set<std::int64_t>(images.begin() + static_cast<std::ptrdiff_t>(first),
                                         images.begin() + static_cast<std::ptrdiff_t>(first + 20))
                      .size(),
                  20U);
}

TEST(TrialTable, DependsOnSeedAndItemAlone)
{
    const TrialPlan plan{.images = 50};

    EXPECT_EQ(column(trial_table(plan, 1, 0), "image"), column(trial_table(plan, 1, 0), "image"));
    EXPECT_NE(column(trial_table(plan, 1, 0), "image"), column(trial_table(plan, 2, 0), "image"));
    EXPECT_NE(column(trial_table(plan, 1, 0), "image"), column(trial_table(plan, 1, 1), "image"));
}

}  // namespace
}  // namespace twinscreen
