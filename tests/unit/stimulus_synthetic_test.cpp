#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <set>

#include <gtest/gtest.h>

#include "engine/config/section.hpp"
#include "engine/stimulus/png_writer.hpp"
#include "engine/stimulus/stimuli.hpp"
#include "tests/support/support.hpp"

namespace twinscreen {
namespace {

constexpr double pi = std::numbers::pi;

InputTransform canvas(int height, int width, double degrees_per_pixel)
{
    InputTransform result;
    result.height = height;
    result.width = width;
    result.degrees_per_pixel = degrees_per_pixel;
    return result;
}

std::unique_ptr<StimulusSource> source(const std::string& toml, std::uint64_t seed = 1,
                                       std::uint32_t set = 0,
                                       const std::filesystem::path& folder = ".")
{
    ConfigDocument document =
        ConfigDocument::parse("[[stimuli]]\n" + toml, "campaign.toml", folder);
    ConfigSection root = document.root();
    auto result = make_stimulus_source(root.children("stimuli").at(0), seed, set);
    document.throw_if_invalid();
    return result;
}

std::vector<float> drawn(const StimulusSource& set, std::uint64_t item, const InputTransform& where)
{
    const Picture picture = set.draw(ItemId{item}, where);
    EXPECT_EQ(picture.height, where.height);
    EXPECT_EQ(picture.width, where.width);
    const auto values = picture.pixels.values<float>();
    return {values.begin(), values.end()};
}

double mean_of(const std::vector<float>& values)
{
    double sum = 0;
    for (const float value : values) sum += value;
    return sum / static_cast<double>(values.size());
}

/// Compares with grey values computed pixel by pixel in double; x to the right, y upwards.
template <class Pattern>
void expect_pattern(const std::vector<float>& got, const InputTransform& where, double tolerance,
                    Pattern pattern)
{
    std::size_t i = 0;
    for (int row = 0; row < where.height; ++row)
        for (int column = 0; column < where.width; ++column) {
            const double x = (column + 0.5 - where.width / 2.0) * where.degrees_per_pixel;
            const double y = (where.height / 2.0 - row - 0.5) * where.degrees_per_pixel;
            const double wanted = std::clamp(127.5 * (1 + pattern(x, y)), 0.0, 255.0);
            ASSERT_NEAR(got[i++], wanted, tolerance) << row << ", " << column;
        }
}

constexpr double float_cosines = 2e-3;  // grey levels: products of float cosines of size 127.5

TEST(Gratings, AreTheFormulaOfTheirParameters)
{
    const InputTransform where = canvas(40, 56, 0.1);
    const auto set = source(
        "gratings = { orientation = 30, spatial_frequency = 1.5, phase = 40, contrast = 0.6, "
        "x = 0.4, y = -0.3, size = 2.4 }");
    const double o = pi / 6;

    const std::vector<float> got = drawn(*set, 0, where);

    expect_pattern(got, where, float_cosines, [&](double x, double y) {
        const double dx = x - 0.4;
        const double dy = y + 0.3;
        const double wave =
            std::cos(2 * pi * 1.5 * (-dx * std::sin(o) + dy * std::cos(o)) - 40 * pi / 180);
        // The edge is one pixel soft.
        return 0.6 * wave * std::clamp(12 + 0.5 - std::hypot(dx, dy) / 0.1, 0.0, 1.0);
    });
}

TEST(Gratings, NumberTheirItemsWithTheLastParameterFastest)
{
    const auto set = source(
        "gratings = { orientation = { from = 0, to = 90, steps = 3 }, spatial_frequency = [1, 2], "
        "phase = [0, 90], size = { from = 1, to = 4, steps = 3, spacing = \"log\" } }");

    const Table table = set->describe({ItemId{0}, set->count()});

    ASSERT_EQ(set->count(), 36U);
    for (std::size_t i = 0; i < 36; ++i) {
        EXPECT_DOUBLE_EQ(table.number("orientation", i), 45.0 * static_cast<double>(i / 12));
        EXPECT_DOUBLE_EQ(table.number("spatial_frequency", i),
                         1.0 + static_cast<double>(i / 6 % 2));
        EXPECT_DOUBLE_EQ(table.number("phase", i), 90.0 * static_cast<double>(i / 3 % 2));
        EXPECT_DOUBLE_EQ(table.number("size", i), std::pow(2.0, static_cast<double>(i % 3)));
    }
    EXPECT_EQ(table.find("spatial_frequency")->unit, "cycles/deg");
    EXPECT_EQ(table.find("size")->unit, "deg");
    EXPECT_EQ(table.text("kind", 0), "gratings");
}

TEST(Gratings, MayBeABillionWithoutMemory)
{
    const auto set = source(
        "gratings = { orientation = { from = 0, to = 179, steps = 1000 }, spatial_frequency = "
        "{ from = 0.01, to = 0.4, steps = 1000 }, phase = { from = 0, to = 359, steps = 1000 }, "
        "units = \"pixel\" }");

    EXPECT_EQ(set->count(), 1'000'000'000U);
    EXPECT_DOUBLE_EQ(set->describe({ItemId{999'999'999}, 1}).number("phase", 0), 359.0);
    EXPECT_EQ(drawn(*set, 999'999'999, canvas(8, 8, 1)).size(), 64U);
}

TEST(Gratings, InDegreesAreRefusedWhereDegreesPerPixelAreUnknown)
{
    const auto in_degrees = source("gratings = { spatial_frequency = 1 }", 1, 3);
    const auto in_pixels = source("gratings = { spatial_frequency = 0.1, units = \"pixel\" }");
    const InputTransform unknown = canvas(8, 8, std::numeric_limits<double>::quiet_NaN());

    EXPECT_EQ(test::error_text([&] { in_degrees->check(unknown); }),
              "stimulus set 3 (gratings) has sizes in [deg], but a twin's degrees per pixel are "
              "unknown\n  set degrees_per_pixel in the twin's table of the campaign, or units = "
              "\"pixel\" in this set");
    in_pixels->check(unknown);
    in_degrees->check(canvas(8, 8, 0.5));
    EXPECT_NE(test::error_text([&] {
                  in_degrees->check(canvas(8, 8, 0.6));
              }).find("that is 0.6 cycles per pixel of a twin (at most 0.5)"),
              std::string::npos);
}

TEST(Gabors, AreTheFormulaOfTheirParameters)
{
    const InputTransform where = canvas(32, 40, 0.2);
    const double o = 110 * pi / 180;
    for (const double aspect : {1.0, 2.0}) {
        const auto set = source(fmt::format(
            "gabors = {{ orientation = 110, spatial_frequency = 0.8, phase = 90, contrast = 1.0, "
            "x = -0.5, sigma = 0.7, aspect = {} }}",
            aspect));

        const std::vector<float> got = drawn(*set, 0, where);

        expect_pattern(got, where, float_cosines, [&](double x, double y) {
            const double across = -(x + 0.5) * std::sin(o) + y * std::cos(o);
            const double along = (x + 0.5) * std::cos(o) + y * std::sin(o);
            return std::cos(2 * pi * 0.8 * across - pi / 2) *
                   std::exp(-(across * across + along * along / (aspect * aspect)) / (2 * 0.49));
        });
    }
}

TEST(Plaids, AreTheMeanOfTwoGratings)
{
    const InputTransform where = canvas(24, 24, 0.1);
    const auto plaid = source("plaids = { orientation = 20, angle = 70, spatial_frequency = 2 }");
    const auto grating = source("gratings = { orientation = [20, 90], spatial_frequency = 2 }");

    const auto both = drawn(*plaid, 0, where);
    const auto first = drawn(*grating, 0, where);
    const auto second = drawn(*grating, 1, where);

    for (std::size_t i = 0; i < both.size(); ++i)
        EXPECT_NEAR(both[i], (first[i] + second[i]) / 2, float_cosines);
}

TEST(SquareGratings, HaveTwoValues)
{
    const auto set = source(
        "gratings = { spatial_frequency = 0.11, shape = \"square\", contrast = 0.5, orientation = "
        "37, "
        "units = \"pixel\" }");

    const auto values = drawn(*set, 0, canvas(30, 30, 1));

    EXPECT_EQ(std::set<float>(values.begin(), values.end()), (std::set<float>{63.75F, 191.25F}));
}

TEST(Annuli, HaveTheirAreaAndContrast)
{
    const auto set = source(
        "annuli = { inner_radius = [0, 5], outer_radius = 12, contrast = -0.5, units = \"pixel\" "
        "}");

    for (const std::uint64_t item : {0U, 1U}) {
        const auto values = drawn(*set, item, canvas(40, 40, 1));
        const double area = pi * (144 - (item == 1 ? 25 : 0));

        EXPECT_NEAR(mean_of(values), 127.5 * (1 - 0.5 * area / 1600), 0.2);
        EXPECT_EQ(values[20 * 40 + 20], item == 0 ? 63.75F : 127.5F);
        EXPECT_EQ(values[0], 127.5F);
    }
}

TEST(Annuli, WithoutARingAreRefused)
{
    EXPECT_NE(test::error_text([] {
                  source("annuli = { inner_radius = [1, 3], outer_radius = 2 }");
              }).find("outer_radius = 2 is not larger than inner_radius = 3"),
              std::string::npos);
}

const char* const noise_sets[] = {
    "sparse_noise = { squares = 3, size = 4, units = \"pixel\" }\ncount = 10",
    "white_noise = { size = 2, units = \"pixel\" }\ncount = 10",
    "white_noise = { size = 3, values = \"binary\", units = \"pixel\" }\ncount = 10",
    "pink_noise = { alpha = 1 }\ncount = 10",
    "dead_leaves = { smallest_radius = 1, largest_radius = 10, units = \"pixel\" }\ncount = 10",
};

TEST(NoiseSets, DependOnItemSeedAndSetAndOnNothingElse)
{
    const InputTransform where = canvas(21, 34, 1);
    for (const char* toml : noise_sets) {
        const auto values = drawn(*source(toml, 5, 2), 7, where);
        const auto other = source(toml, 5, 2);
        drawn(*other, 3, canvas(13, 8, 1));

        EXPECT_EQ(drawn(*other, 7, where), values) << toml;
        EXPECT_NE(drawn(*other, 6, where), values) << toml;
        EXPECT_NE(drawn(*source(toml, 6, 2), 7, where), values) << toml;
        EXPECT_NE(drawn(*source(toml, 5, 3), 7, where), values) << toml;
        EXPECT_EQ(source(toml, 5, 2)->identity(), other->identity());
        EXPECT_NE(source(toml, 6, 2)->identity(), other->identity());
    }
}

TEST(SyntheticSets, AreSummedUpInWords)
{
    std::vector<std::unique_ptr<StimulusSource>> sets;
    sets.push_back(
        source("gratings = { orientation = [0, 90], spatial_frequency = [1, 2, 4] }\nfirst = 2"));
    sets.push_back(source("pink_noise = { alpha = 1, contrast = 0.3 }\ncount = 100"));
    sets.push_back(
        source("dead_leaves = { smallest_radius = 1, largest_radius = 8, units = "
               "\"pixel\" }\nfirst = 5\ncount = 7"));

    EXPECT_EQ(sets[1]->summary(), "100 pink_noise pictures (alpha = 1, contrast = 0.3)");
    EXPECT_EQ(concatenate(std::move(sets))->summary(),
              "4 of 6 gratings (2 orientation x 3 spatial_frequency), from number 2 + "
              "100 pink_noise pictures (alpha = 1, contrast = 0.3) + "
              "7 dead_leaves pictures (smallest_radius = 1 pixel, largest_radius = 8 pixel, "
              "contrast = 1), from number 5");
}

TEST(NoiseSets, AreSlicedByFirst)
{
    const auto whole = source("pink_noise = {}\ncount = 1000000000");
    const auto part = source("pink_noise = {}\nfirst = 700000000\ncount = 5");
    const InputTransform where = canvas(8, 8, 1);

    EXPECT_EQ(drawn(*whole, 700'000'003, where), drawn(*part, 3, where));
    EXPECT_EQ(part->describe({ItemId{3}, 1}).number("draw", 0), 700'000'003.0);
    EXPECT_NE(test::error_text([] { source("pink_noise = {}"); }).find("count"), std::string::npos);
}

TEST(WhiteNoise, HasItsMeanContrastAndIndependentChecks)
{
    const auto set =
        source("white_noise = { size = 2, contrast = 0.2, units = \"pixel\" }\ncount = 1");
    const InputTransform where = canvas(200, 200, 1);

    const auto values = drawn(*set, 0, where);

    double variance = 0;
    double neighbours = 0;
    for (std::size_t y = 0; y < 198; y += 2)
        for (std::size_t x = 0; x < 198; x += 2) {
            const double here = values[y * 200 + x] / 127.5 - 1;
            EXPECT_EQ(values[y * 200 + x], values[(y + 1) * 200 + x + 1]);
            variance += here * here / (99 * 99);
            neighbours += here * (values[y * 200 + x + 2] / 127.5 - 1) / (99 * 99);
        }
    EXPECT_NEAR(mean_of(values), 127.5, 127.5 * 0.2 / 100 * 5);
    EXPECT_NEAR(variance, 0.04, 0.04 * 5 * std::sqrt(2.0) / 99);
    EXPECT_NEAR(neighbours, 0.0, 0.04 * 5 / 99);
}

TEST(PinkNoise, HasTheSpectrumOfItsExponent)
{
    constexpr int n = 32;
    const auto set = source("pink_noise = { alpha = 1, contrast = 0.1 }\ncount = 400");
    std::vector<double> power(5, 0.0);  // at 1, 2, 4, 8 cycles across, and of diagonal (2, 2)
    double mean = 0;
    double variance = 0;
    for (std::uint64_t item = 0; item < 400; ++item) {
        const auto values = drawn(*set, item, canvas(n, n, 1));
        mean += mean_of(values) / 400;
        for (const float v : values) variance += std::pow(v / 127.5 - 1, 2) / (400.0 * n * n);
        for (std::size_t k = 0; k < 5; ++k) {
            const double fx = k < 4 ? std::pow(2.0, static_cast<double>(k)) : 2.0;
            const double fy = k < 4 ? 0.0 : 2.0;
            double real = 0;
            double imaginary = 0;
            for (int y = 0; y < n; ++y)
                for (int x = 0; x < n; ++x) {
                    const double angle = 2 * pi * (fx * x + fy * y) / n;
                    const double v = values[static_cast<std::size_t>(y * n + x)];
                    real += v * std::cos(angle);
                    imaginary += v * std::sin(angle);
                }
            power[k] += real * real + imaginary * imaginary;
        }
    }

    // The mean of 400 exponential powers has a relative error of 1 / 20; ratios of two, 5 sigma.
    EXPECT_NEAR(power[0] / power[1], 4.0, 4.0 * 0.35);
    EXPECT_NEAR(power[1] / power[2], 4.0, 4.0 * 0.35);
    EXPECT_NEAR(power[2] / power[3], 4.0, 4.0 * 0.35);
    EXPECT_NEAR(power[1] / power[4], 2.0, 2.0 * 0.35);
    EXPECT_NEAR(mean, 127.5, 1e-3);
    EXPECT_NEAR(variance, 0.01, 0.01 * 0.1);
}

TEST(DeadLeaves, CoverTheCanvasWithUniformGreyValues)
{
    const auto set = source(
        "dead_leaves = { smallest_radius = 1, largest_radius = 8, units = \"pixel\" }\ncount = 60");
    double mean = 0;
    double variance = 0;
    for (std::uint64_t item = 0; item < 60; ++item) {
        const auto values = drawn(*set, item, canvas(40, 40, 1));
        for (const float v : values) {
            ASSERT_TRUE(std::isfinite(v));
            mean += v / (60.0 * 1600);
            variance += (v - 127.5) * (v - 127.5) / (60.0 * 1600);
        }
    }

    // Uniform in 0..255: variance 255^2 / 12. There are about 30 leaves' worth of independence
    // each.
    EXPECT_NEAR(mean, 127.5, 6.0);
    EXPECT_NEAR(variance, 255.0 * 255.0 / 12, 500.0);
}

TEST(SparseNoise, HasItsSquaresAndPolarity)
{
    const auto set = source(
        "sparse_noise = { squares = 1, size = 5, polarity = \"dark\", contrast = 0.4, units = "
        "\"pixel\" }\ncount = 50");
    std::set<std::size_t> places;
    for (std::uint64_t item = 0; item < 50; ++item) {
        const auto values = drawn(*set, item, canvas(20, 30, 1));
        EXPECT_EQ(std::count(values.begin(), values.end(), 127.5F * 0.6F), 25);
        EXPECT_EQ(std::count(values.begin(), values.end(), 127.5F), 575);
        places.insert(static_cast<std::size_t>(
            std::find(values.begin(), values.end(), 127.5F * 0.6F) - values.begin()));
    }
    EXPECT_GT(places.size(), 15U);
}

TEST(Crops, AreResizedPartsOfThePhotographs)
{
    const test::TemporaryFolder folder;
    Picture photo{60, 90, 3, false, OwnedBatch(ElementType::u8, {60, 90, 3})};
    for (std::size_t y = 0; y < 60; ++y)
        for (std::size_t x = 0; x < 90; ++x)
            for (std::size_t c = 0; c < 3; ++c)
                photo.pixels.values<std::uint8_t>()[(y * 90 + x) * 3 + c] =
                    static_cast<std::uint8_t>(x + y);
    write_png(photo, folder / "photo.png");
    const auto set =
        source(fmt::format("crops = {{ folder = \"{}\", smallest_scale = 0.5 }}\ncount = 100",
                           folder.path().string()));
    std::set<int> corners;
    for (std::uint64_t item = 0; item < 100; ++item) {
        const Picture crop = set->draw(ItemId{item}, canvas(10, 20, 1));
        const Table table = set->describe({ItemId{item}, 1});
        const auto values = crop.pixels.values<std::uint8_t>();
        const double scale = table.number("crop_scale", 0);

        // Along a row the photograph rises by one level a pixel, so by the crop's width in all.
        EXPECT_NEAR(values[19] - values[0], scale * 90 * 19 / 20, 2.5);
        EXPECT_EQ(crop.height, 10);
        EXPECT_EQ(crop.channels, 1);
        EXPECT_EQ(table.text("file", 0), "photo.png");
        corners.insert(values[0]);
    }
    EXPECT_GT(corners.size(), 15U);
}

TEST(SyntheticSets, ComplainOfEveryMistakeAtOnce)
{
    const std::string text = test::error_text([] {
        source(
            "gratings = { orientation = [], spatial_frequency = -1, contrast = 1.5, shpae = "
            "\"sine\" }");
    });

    EXPECT_NE(text.find("orientation is an empty list"), std::string::npos);
    EXPECT_NE(text.find("contrast = 1.5 (must be at least 0 and at most 1)"), std::string::npos);
    EXPECT_NE(text.find("spatial_frequency = -1 (must be at least 0"), std::string::npos);
    EXPECT_NE(text.find("did you mean 'shape'?"), std::string::npos);
}

}  // namespace
}  // namespace twinscreen
