#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/stimulus/stimuli.hpp"
#include "experiments/relational_control/labels/image_labels.hpp"
#include "experiments/relational_control/labels/label_effects.hpp"
#include "experiments/statistics.hpp"
#include "tests/support/support.hpp"
#include "tests/unit/rnc_null_support.hpp"

namespace twinscreen {
namespace {

using test::error_text;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// Labels as a file with this text has them; throws Error with every mistake.
LabelTable labels_in(const std::string& text)
{
    const test::TemporaryFolder folder;
    std::ofstream(folder.path() / "labels.csv") << text;
    auto document = ConfigDocument::parse("file = 'labels.csv'\n", "c.toml", folder.path());
    ConfigSection section = document.root();
    LabelTable labels = read_label_table(section.require_existing_path("file"), section);
    document.throw_if_invalid();
    return labels;
}

TEST(ImageLabels, AreThoseOfTheSetAndTheOthersAreCounted)
{
    const LabelTable table = labels_in("item,label\n7,sky\n3,ground\n5,\n4,sky\n");
    const std::vector<std::uint32_t> images{3, 5, 7, 8};

    const SetLabels labels = labels_of(table, images, *no_stimuli());

    EXPECT_THAT(table.names, ElementsAre("ground", "sky"));
    EXPECT_THAT(labels.of_image, ElementsAre(0, SetLabels::none, 1, SetLabels::none));
    EXPECT_THAT(labels.unlabelled, ElementsAre(5, 8));
    EXPECT_EQ(labels.ignored, 1U);
}

TEST(ImageLabels, MayBeNumbers)
{
    const LabelTable table = labels_in("item,label\n2,0\n1,1\n");

    EXPECT_THAT(table.names, ElementsAre("0", "1"));
    EXPECT_THAT(labels_of(table, std::vector<std::uint32_t>{1, 2}, *no_stimuli()).of_image,
                ElementsAre(1, 0));
}

TEST(ImageLabels, OfAFileThatDoesNotExistYetAreNoMistake)
{
    auto document = ConfigDocument::parse("", "c.toml", ".");
    ConfigSection section = document.root();

    const LabelTable table = read_label_table("nowhere/labels.csv", section);

    EXPECT_FALSE(table.exists);
    EXPECT_FALSE(section.has_mistakes());
    EXPECT_THAT(labels_of(table, std::vector<std::uint32_t>{4}, *no_stimuli()).unlabelled,
                ElementsAre(4));
}

TEST(ImageLabels, NeedTwoImagesOfEach)
{
    const LabelTable table = labels_in("stimulus,label\n1,a\n2,b\n3,a\n4,b\n");
    const auto require = [&](std::vector<std::uint32_t> images) {
        require_two_labels(table, labels_of(table, images, *no_stimuli()));
    };

    EXPECT_NO_THROW(require({1, 2, 3, 4}));
    EXPECT_THAT(error_text([&] { require({1, 2, 3}); }), HasSubstr("labelled 2 'a', 1 'b'"));
}

TEST(ImageLabels, ListToFillInIsLeftAloneOnceSomebodyWroteIntoIt)
{
    const test::TemporaryFolder folder;
    const std::filesystem::path file = folder.path() / "list.csv";
    const std::vector<std::uint32_t> images{6, 2};
    LabelTable none;
    const SetLabels labels = labels_of(none, images, *no_stimuli());
    const auto text_of_file = [&] {
        std::ifstream stream(file);
        return std::string(std::istreambuf_iterator<char>(stream), {});
    };

    write_images_to_label(none, labels, images, *no_stimuli(), file);
    const std::string empty = text_of_file();
    write_images_to_label(none, labels, images, *no_stimuli(), file);
    EXPECT_EQ(text_of_file(), empty);
    std::ofstream(file) << "item,label\n6,sky\n";
    write_images_to_label(none, labels, images, *no_stimuli(), file);

    EXPECT_THAT(empty, HasSubstr("\n6,"));
    EXPECT_EQ(text_of_file(), "item,label\n6,sky\n");
}

TEST(ImageSimilarities, AreCorrelationsOfPatternsAndTheirMeansByLabel)
{
    constexpr std::size_t images = 5, width = 9, first = 2, count = 6;
    const std::vector<float> values = normal_table(images, width, 3);
    const std::vector<std::size_t> labels{1, 0, 1, 1, 0};
    const auto pattern = [&](std::size_t image) {
        const auto start = values.begin() + static_cast<std::ptrdiff_t>(image * width + first);
        return std::vector<double>(start, start + count);
    };

    const auto similarity = pattern_correlations({values.data(), images, width}, first, count);
    const auto means = means_by_label(similarity, labels);

    std::array<std::vector<double>, 3> groups;
    for (std::size_t a = 0; a < images; ++a)
        for (std::size_t b = 0; b < images; ++b) {
            const double expected = a == b ? 1.0 : pearson(pattern(a), pattern(b));
            EXPECT_NEAR(similarity[a * images + b], expected, 1e-12);
            if (a < b) groups[labels[a] == labels[b] ? labels[a] : 2].push_back(expected);
        }
    for (std::size_t group = 0; group < 3; ++group)
        EXPECT_NEAR(means[group], mean(groups[group]), 1e-12);
}

constexpr std::uint32_t draws = 300;

/// Four standard deviations of a p of so many draws.
double binomial_noise(double p) { return 4.0 * std::sqrt(p * (1.0 - p) / draws); }

TEST(PartEffects, AreScoredInTheDirectionThatIsExpected)
{
    const std::vector<float> values{1, 2, 9, 3, 4, 8, 5, 5, 5};  // [3 images, 3 units]
    const std::vector<std::size_t> images{0, 1};
    const std::vector<std::uint32_t> first{0, 1}, second{2};
    const auto effect = [&](std::size_t prefer, Compat compat) {
        return test_parts({values.data(), 3, 3}, images, {first, second}, prefer, compat,
                          {1, 0, 0, draws});
    };

    const PartEffect up = effect(1, Compat::corrected), down = effect(0, Compat::corrected),
                     halves = effect(0, Compat::reference);

    EXPECT_THAT(up.response, ElementsAre(2.5, 8.5));
    EXPECT_DOUBLE_EQ(up.test.observed, 6.0);
    EXPECT_DOUBLE_EQ(down.test.observed, -6.0);
    // The first of 2, 3, 8.5 alone minus the mean of the others: -3.75, -2.25 or 6.
    EXPECT_NEAR(up.test.p(), 1.0 / 3.0, binomial_noise(1.0 / 3.0));
    EXPECT_EQ(up.other.p(), 1.0 / 301.0);  // strictly above: none
    EXPECT_EQ(down.test.p(), 1.0);
    EXPECT_EQ(halves.test.p(), 1.0);  // of three units a half has one: all three are above -6
    EXPECT_EQ(halves.other.p(), 1.0);
}

}  // namespace
}  // namespace twinscreen
