#include <fstream>
#include <numeric>

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

/// Images of which only the item table matters.
class DescribedImages final : public StimulusSource {
public:
    explicit DescribedImages(Table items) : items_(std::move(items)) {}
    std::uint64_t count() const noexcept override { return items_.rows(); }
    bool drawn_for_canvas() const noexcept override { return false; }
    Picture draw(ItemId, const InputTransform&) const override { return {}; }
    void check(const InputTransform&) const override {}
    Table describe(ItemRange items) const override
    {
        std::vector<std::size_t> rows(items.count);
        std::iota(rows.begin(), rows.end(), index_of(items.first));
        return items_.select(rows);
    }
    std::string identity() const override { return {}; }
    std::string summary() const override { return {}; }

private:
    Table items_;
};

DescribedImages images_in_files(std::vector<std::string> files)
{
    return DescribedImages(Table{{{"file", "", std::move(files)}}});
}

using Numbers = std::vector<std::uint32_t>;

TEST(ImageLabels, MayNameAFileWithoutItsFolders)
{
    const DescribedImages stimuli = images_in_files({"a/1.png", "2.png", "b/2.png", "b/3.png"});
    const LabelTable table = labels_in("item,label\n1.png,sky\n2.png,sky\nb/2.png,ground\n");

    const SetLabels labels = labels_of(table, Numbers{3, 2, 1, 0}, stimuli);

    // 2.png is the image that is called so, and no other.
    EXPECT_THAT(labels.of_image, ElementsAre(SetLabels::none, 0, 1, 1));
    EXPECT_EQ(labels.ignored, 0U);
}

TEST(ImageLabels, OfAnImageWithTwoNamesMustAgree)
{
    const DescribedImages stimuli = images_in_files({"a/1.png"});
    const LabelTable table = labels_in("item,label\na/1.png,sky\n1.png,ground\n");
    const LabelTable same = labels_in("item,label\na/1.png,sky\n1.png,sky\n2.png,ground\n");

    EXPECT_THAT(error_text([&] { labels_of(table, Numbers{0}, stimuli); }),
                HasSubstr("image 0 is labelled 'sky' as 'a/1.png' and 'ground' as '1.png'"));
    EXPECT_EQ(labels_of(same, Numbers{0}, stimuli).ignored, 1U);
}

TEST(ImageLabels, MayNotNameTwoFilesAtOnce)
{
    const DescribedImages stimuli = images_in_files({"a/1.png", "b/2.png", "b/1.png"});
    const LabelTable table = labels_in("item,label\n1.png,sky\n2.png,ground\n");

    EXPECT_THAT(error_text([&] {
                    labels_of(table, Numbers{2, 1}, stimuli);
                }),
                HasSubstr("'1.png' may be image 0 (a/1.png) or image 2 (b/1.png)"));
    EXPECT_THAT(labels_of(table, Numbers{1}, stimuli).of_image, ElementsAre(0));
}

TEST(ImageLabels, ByNumberMayNotMeanOtherNumbersOfTheItemTable)
{
    const DescribedImages from_one(Table{{{"id", "", std::vector<double>{1, 2, 3}}}});
    const DescribedImages from_zero(Table{{{"id", "", std::vector<double>{0, 1, 2}}}});
    const auto labels = [](const std::string& text, const DescribedImages& stimuli) {
        return labels_of(labels_in(text), Numbers{2, 1}, stimuli).of_image;
    };
    const std::string numbers = "item,label\n1,sky\n2,ground\n";
    const std::string both = "item,id,label\n1,2,sky\n2,3,ground\n";

    EXPECT_THAT(error_text([&] { labels(numbers, from_one); }),
                HasSubstr("are their places in the campaign, from 0, and the item table has other "
                          "numbers as ids (image 2 has id 3)"));
    EXPECT_THAT(error_text([&] { labels("item,id,label\n1,1,sky\n", from_one); }),
                HasSubstr("image 1 has id 1, and 2 in the item table"));
    EXPECT_THAT(labels(both, from_one), ElementsAre(0, 1));
    EXPECT_THAT(labels(numbers, from_zero), ElementsAre(0, 1));
}

/// The list of images to label as it is in a folder of its own.
class ListToFillIn {
public:
    explicit ListToFillIn(const StimulusSource& stimuli) : stimuli_(stimuli) {}

    /// What stands in the list, but for quotation marks, after a run with these labels of images 2
    /// and 1.
    std::string after(const LabelTable& table)
    {
        const Numbers images{2, 1};
        write_images_to_label(table, labels_of(table, images, stimuli_), images, stimuli_, file_);
        std::ifstream stream(file_);
        std::string text(std::istreambuf_iterator<char>(stream), {});
        std::erase(text, '"');
        return text;
    }
    void fill_in(const std::string& text) { std::ofstream(file_) << text; }

private:
    const StimulusSource& stimuli_;
    test::TemporaryFolder folder_;
    std::filesystem::path file_ = folder_.path() / "list.csv";
};

TEST(ImageLabels, ListToFillInHasTheLabelsThatAreKnown)
{
    const DescribedImages stimuli(Table{{{"id", "", std::vector<double>{7, 8, 9}}}});
    ListToFillIn list(stimuli);

    EXPECT_EQ(list.after({}), "item,id,label\n2,9,\n1,8,\n");
    EXPECT_EQ(list.after(labels_in("item,id,label\n1,8,sky\n")), "item,id,label\n2,9,\n1,8,sky\n");
    EXPECT_EQ(list.after(labels_in("item,id,label\n1,8,sky\n2,9,ground\n")),
              "item,id,label\n2,9,ground\n1,8,sky\n");
}

TEST(ImageLabels, ListToFillInKeepsLabelsThatAreNowhereElse)
{
    const auto stimuli = no_stimuli();
    ListToFillIn list(*stimuli);
    const LabelTable table = labels_in("item,label\n1,sky\n");

    for (const std::string text :
         {"item,label\n2,sky\n", "item,label\n1,ground\n", "my notes\n", "item,label\nx,sky\n"}) {
        list.fill_in(text);
        EXPECT_EQ(list.after(table), text);
    }
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
