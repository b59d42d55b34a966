#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>
#include <map>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/stimulus/png_writer.hpp"
#include "experiments/relational_control/generative/evolution_chain.hpp"
#include "experiments/relational_control/generative/picture.hpp"
#include "kernels/normal.hpp"
#include "kernels/render.hpp"
#include "tests/support/support.hpp"

namespace twinscreen {
namespace {

using Bytes = std::vector<std::uint8_t>;

constexpr PictureSize small{24, 32, 1};
constexpr double nan = std::numeric_limits<double>::quiet_NaN();

Bytes generated(ImageGenerator& generator, const std::vector<float>& codes)
{
    const auto executor = make_host_executor();
    Bytes pictures(codes.size() / generator.code_length() * generator.size().bytes());
    generator.generate(codes, pictures, *executor);
    return pictures;
}

Bytes noise_picture(const PictureSize& size)
{
    Bytes bytes;
    for (std::uint32_t at = 0; at < size.bytes(); ++at)
        bytes.push_back(
            static_cast<std::uint8_t>(draw_bits({3, DrawStream::projection, 0, at})[0]));
    return bytes;
}

/// A picture of that many random Gabors.
Bytes gabor_picture(const PictureSize& size, std::uint32_t elements)
{
    const auto generator = make_gabor_generator(elements, size, 127.5F);
    std::vector<float> code;
    for (std::uint32_t gene = 0; gene < generator->code_length(); ++gene)
        code.push_back(normal_draws({4, DrawStream::projection, 0, gene})[0]);
    return generated(*generator, code);
}

// ---- goals

TEST(ControlGoal, MeasuresControlAndThresholdsAsEachConditionWants)
{
    using enum ControlCondition;
    const std::array<double, 2> baseline{1.0, 2.0};
    struct Case {
        ControlCondition condition;
        std::array<double, 2> threshold;
        double control;  // of responses 3 and 1
    };
    for (const Case& expected :
         {Case{both_high, {1.5, 2.5}, 4.0}, Case{both_low, {0.5, 1.5}, 4.0},
          Case{high_low, {1.5, 1.5}, 2.0}, Case{low_high, {0.5, 2.5}, -2.0}}) {
        const ControlGoal goal = ControlGoal::beyond(expected.condition, baseline, 0.5);
        EXPECT_EQ(goal.threshold, expected.threshold);
        EXPECT_EQ(goal.control({3.0, 1.0}), expected.control);
        EXPECT_FALSE(goal.is_missed(goal.threshold));  // the threshold itself counts as passed
        for (const std::size_t side : {0U, 1U}) {
            std::array<double, 2> wrong = goal.threshold;
            wrong[side] += wants_high(expected.condition, side) ? -1e-9 : 1e-9;
            EXPECT_TRUE(goal.is_missed(wrong));
        }
        EXPECT_TRUE(goal.is_missed({nan, goal.threshold[1]}));
    }
}

TEST(ControlGoal, CountsMarginAndControlInUnitsOfEachArea)
{
    const ControlGoal goal =
        ControlGoal::beyond(ControlCondition::high_low, {1.0, 2.0}, 0.5, {10.0, 0.1});

    EXPECT_EQ(goal.threshold, (std::array<double, 2>{6.0, 1.95}));
    EXPECT_DOUBLE_EQ(goal.control({20.0, 0.5}), -3.0);
}

TEST(ControlGoal, PrefersControlUntilTheThresholdsArePassedAndThenSimplicity)
{
    const ControlGoal high{ControlCondition::both_high, {}}, low{ControlCondition::both_low, {}};

    EXPECT_EQ(high.total(4.0, true, 70.0), 4.0 - 1e10);
    EXPECT_EQ(low.total(4.0, true, 70.0), -4.0 - 1e10);
    EXPECT_EQ(high.total(4.0, false, 70.0), -70.0);
    EXPECT_EQ(low.total(4.0, false, 70.0), -70.0);
}

TEST(ControlGoal, CountsComplexityByTheTrainingPenaltyInBothLowAsPublished)
{
    const ControlGoal low{ControlCondition::both_low, {}}, high{ControlCondition::both_high, {}};

    EXPECT_EQ(low.test_total(4.0, true, false, 70.0, Compat::reference), -4.0 - 1e10 - 70.0);
    EXPECT_EQ(low.test_total(4.0, false, true, 70.0, Compat::reference), 0.0);
    EXPECT_EQ(low.test_total(4.0, true, false, 70.0, Compat::corrected), -4.0 - 1e10);
    EXPECT_EQ(low.test_total(4.0, false, true, 70.0, Compat::corrected), -70.0);
    EXPECT_EQ(high.test_total(4.0, true, false, 70.0, Compat::reference), 4.0 - 1e10);
}

// ---- complexity

/// Entropy of residuals by the definition: for every class of contrast a table of counts.
double naive_entropy(const PictureSize& size, const Bytes& picture)
{
    const auto at = [&](int row, int column) -> int {
        if (row < 0) return 128;
        if (column < 0)
            return row == 0 ? 128 : picture[static_cast<std::size_t>((row - 1) * size.width)];
        return picture[static_cast<std::size_t>(row * size.width + column)];
    };
    std::map<int, std::map<int, double>> tables;
    for (int row = 0; row < size.height; ++row)
        for (int column = 0; column < size.width; ++column) {
            const int left = at(row, column - 1), up = at(row - 1, column);
            const int corner = column == 0 ? left : at(row - 1, column - 1);
            int guess = left + up - corner;
            guess = std::clamp(guess, std::min(left, up), std::max(left, up));
            const int contrast = std::abs(left - corner) + std::abs(up - corner);
            int level = 0;
            while (level < 7 && contrast >= 1 << level) ++level;
            tables[level][(at(row, column) - guess + 256) % 256] += 1.0;
        }
    double bits = 0.0;
    for (const auto& [level, table] : tables) {
        double all = 0.0;
        for (const auto& [residual, count] : table) all += count;
        for (const auto& [residual, count] : table) bits -= count * std::log2(count / all);
    }
    return bits / 8.0;
}

TEST(Complexity, IsTheEntropyOfPredictionResiduals)
{
    for (const Bytes& picture : {gabor_picture(small, 3), noise_picture(small)})
        EXPECT_NEAR(complexity_of(ComplexityMeasure::entropy, small, picture),
                    naive_entropy(small, picture), 1e-9 * naive_entropy(small, picture));
}

TEST(Complexity, IsNoneOfAnEvenPictureAndAddsUpOverChannels)
{
    const PictureSize colour{24, 32, 3};
    const Bytes grey = gabor_picture(small, 3);
    Bytes thrice;
    for (const std::uint8_t value : grey) thrice.insert(thrice.end(), 3, value);

    EXPECT_EQ(complexity_of(ComplexityMeasure::entropy, small, Bytes(small.bytes(), 128)), 0.0);
    EXPECT_DOUBLE_EQ(complexity_of(ComplexityMeasure::entropy, colour, thrice),
                     3.0 * complexity_of(ComplexityMeasure::entropy, small, grey));
}

TEST(Complexity, OrdersPicturesAsPngSizesDo)
{
    const PictureSize size{96, 96, 1};
    double entropy = 0.0, png = 0.0;
    std::vector<Bytes> pictures{Bytes(size.bytes(), 90)};
    for (const std::uint32_t elements : {1U, 4U, 16U})
        pictures.push_back(gabor_picture(size, elements));
    pictures.push_back(noise_picture(size));
    for (const Bytes& picture : pictures) {
        const double more_entropy = complexity_of(ComplexityMeasure::entropy, size, picture);
        const double more_png = complexity_of(ComplexityMeasure::png, size, picture);
        EXPECT_TRUE(more_entropy > entropy || (entropy == 0.0 && more_entropy == 0.0));
        EXPECT_GT(more_png, png);
        entropy = more_entropy;
        png = more_png;
    }
}

TEST(Complexity, CountsTheBytesOfThePngFile)
{
    const test::TemporaryFolder folder;
    for (const PictureSize& size : {small, PictureSize{40, 50, 3}})
        for (const Bytes& picture : {noise_picture(size), Bytes(size.bytes(), 7)}) {
            write_png(picture_of(size, picture), folder / "a.png");

            EXPECT_EQ(complexity_of(ComplexityMeasure::png, size, picture),
                      static_cast<double>(std::filesystem::file_size(folder / "a.png")));
        }
}

// ---- Gabors

TEST(GaborGenerator, DrawsTheElementThatACodeDescribes)
{
    const auto generator = make_gabor_generator(2, small, 100.0F);
    // P(0) = 1/2; the second element has no contrast.
    const std::vector<float> code{0.0F, 0.0F, 0.5F, 0.0F, 0.25F, 0.0F, 0, 0, 0, 0, 0, -40.0F};
    const double frequency = std::sqrt(8.0) / 32.0;
    const double angle = std::acos(0.0) * 0.5, phase = std::acos(-1.0) * 0.25;
    const double sigma = 0.5622 / frequency;

    const Bytes picture = generated(*generator, code);

    for (int row = 0; row < 24; ++row)
        for (int column = 0; column < 32; ++column) {
            const double x = column + 0.5 - 16.0, y = 12.0 - row - 0.5;
            const double carrier = std::cos(4.0 * std::acos(0.0) * frequency *
                                                (-x * std::sin(angle) + y * std::cos(angle)) -
                                            phase);
            const double bell = std::exp(-(x * x + y * y) / (2.0 * sigma * sigma));
            EXPECT_NEAR(picture[static_cast<std::size_t>(row * 32 + column)],
                        100.0 * (1.0 + 0.5 * carrier * bell), 0.51);  // rounded to whole levels
        }
}

TEST(GaborGenerator, AddsElementsAndCutsTheSum)
{
    const auto one = make_gabor_generator(1, small, 127.5F);
    const auto four = make_gabor_generator(4, small, 127.5F);
    const std::vector<float> code{0.3F, -0.2F, 0.1F, -0.4F, 0.0F, 2.0F};
    std::vector<float> codes;
    for (int copy = 0; copy < 4; ++copy) codes.insert(codes.end(), code.begin(), code.end());

    const Bytes single = generated(*one, code), sum = generated(*four, codes);

    for (std::size_t pixel = 0; pixel < sum.size(); ++pixel) {
        const double exact = 127.5 + 4.0 * (single[pixel] - 127.5);
        EXPECT_NEAR(sum[pixel], std::clamp(exact, 0.0, 255.0), 2.6);  // 4 x 0.5 rounded + 0.5
    }
    EXPECT_EQ(*std::ranges::max_element(sum), 255);
    EXPECT_EQ(*std::ranges::min_element(sum), 0);
}

TEST(GaborGenerator, MovesElementsRightAndUpWithTheirCode)
{
    const auto generator = make_gabor_generator(1, small, 127.5F);
    const Bytes picture = generated(*generator, {1.5F, 1.5F, 0.0F, 1.0F, 0.0F, 3.0F});
    const auto most = std::ranges::max_element(picture) - picture.begin();

    EXPECT_NEAR(static_cast<double>(most % 32), 32 * 0.9332, 1.0);
    EXPECT_NEAR(static_cast<double>(most / 32), 24 * 0.0668, 1.0);
}

TEST(GaborGenerator, MakesAPictureOfItsOwnCodeOnly)
{
    const auto generator = make_gabor_generator(1, small, 127.5F);
    const std::vector<float> first{0.1F, 0.2F, 0.3F, 0.4F, 0.5F, 0.6F};
    std::vector<float> both{1.0F, -1.0F, 0.5F, -0.5F, 0.2F, 0.9F};
    both.insert(both.end(), first.begin(), first.end());

    const Bytes pair = generated(*generator, both);

    EXPECT_EQ(generated(*generator, first), Bytes(pair.begin() + small.bytes(), pair.end()));
}

// ---- chains

/// Three subjects whose areas like light at the left and at the right of the picture.
void answer_by_side(std::span<const std::uint8_t> pictures, std::span<float> means)
{
    for (std::size_t at = 0; at < pictures.size() / small.bytes(); ++at)
        for (std::size_t side = 0; side < 2; ++side) {
            double sum = 0.0;
            for (std::size_t pixel = 0; pixel < small.bytes(); ++pixel)
                if ((pixel % 32 >= 16) == (side == 1))
                    sum += pictures[at * small.bytes() + pixel] / 127.5 - 1.0;
            for (std::size_t subject = 0; subject < 3; ++subject)
                means[(at * 2 + side) * 3 + subject] =
                    static_cast<float>(sum / 192.0 + 0.001 * static_cast<double>(subject));
        }
}

class Chain : public testing::Test {
protected:
    EvolutionChain chain(CodeOptimiser optimiser, ControlCondition condition)
    {
        CodeSearchSettings search;
        search.optimiser = optimiser;
        search.codes = 40;
        search.code_length = generator_->code_length();
        search.seed = 5;
        searches_.push_back(make_code_search(search));
        const ControlGoal goal = ControlGoal::beyond(condition, {0.0, 0.0}, 0.15);
        return {{goal, goal, {"test c", {0, 1}, 2}, Compat::corrected, ComplexityMeasure::entropy},
                {*searches_.back(), *generator_, *executor_, respond_, 3, 16}};
    }

    const std::unique_ptr<ImageGenerator> generator_ = make_gabor_generator(4, small, 127.5F);
    const std::unique_ptr<Executor> executor_ = make_host_executor();
    const Responder respond_ = answer_by_side;
    std::vector<std::unique_ptr<CodeSearch>> searches_;
};

TEST_F(Chain, NeverLosesItsBestPictureAndMakesItSimplerOnceItControls)
{
    for (const CodeOptimiser optimiser : {CodeOptimiser::genetic, CodeOptimiser::cma_es})
        for (const ControlCondition condition :
             {ControlCondition::both_high, ControlCondition::both_low, ControlCondition::high_low,
              ControlCondition::low_high}) {
            EvolutionChain evolution = chain(optimiser, condition);
            for (int generation = 0; generation < 40; ++generation) evolution.step();
            const Trajectory& found = evolution.trajectory();
            const std::uint32_t threshold = found.threshold_generation();

            EXPECT_TRUE(std::ranges::is_sorted(found.total));
            ASSERT_LT(threshold, 40U);
            EXPECT_EQ(found.missed.back(), 0);
            EXPECT_LT(found.complexity.back(), found.complexity[threshold]);
        }
}

TEST_F(Chain, RecordsTheResponsesOfItsBestPictureToTrainingAndTestSubjects)
{
    EvolutionChain evolution = chain(CodeOptimiser::genetic, ControlCondition::high_low);
    for (int generation = 0; generation < 5; ++generation) evolution.step();
    const Trajectory& found = evolution.trajectory();

    std::vector<float> means(6);
    answer_by_side(generated(*generator_, evolution.best_code()), means);
    EXPECT_EQ(generated(*generator_, evolution.best_code()), evolution.best_picture());
    EXPECT_THAT(std::vector(found.responses.end() - 6, found.responses.end()),
                testing::ElementsAreArray(means));
    const auto a = [&](std::size_t i) { return static_cast<double>(means[i]); };
    EXPECT_DOUBLE_EQ(found.control.back(), (a(0) + a(1)) / 2.0 - (a(3) + a(4)) / 2.0);
    EXPECT_DOUBLE_EQ(found.test_control.back(), a(2) - a(5));
    EXPECT_EQ(found.test_missed.back(), a(2) >= 0.15 && a(5) <= -0.15 ? 0 : 1);
    EXPECT_EQ(found.complexity.back(),
              complexity_of(ComplexityMeasure::entropy, small, evolution.best_picture()));
}

TEST_F(Chain, EndsWithTheSameBytesWhenItWasInterrupted)
{
    for (const CodeOptimiser optimiser : {CodeOptimiser::genetic, CodeOptimiser::cma_es}) {
        EvolutionChain calm = chain(optimiser, ControlCondition::both_high);
        for (int generation = 0; generation < 12; ++generation) calm.step();
        EvolutionChain killed = chain(optimiser, ControlCondition::both_high);
        for (int generation = 0; generation < 7; ++generation) killed.step();
        EvolutionChain resumed = chain(optimiser, ControlCondition::both_high);
        resumed.load(killed.save());
        for (int generation = 7; generation < 12; ++generation) resumed.step();

        EXPECT_EQ(calm.save(), resumed.save());
    }
}

TEST_F(Chain, SaysThatASavedStateEndsEarly)
{
    EvolutionChain evolution = chain(CodeOptimiser::genetic, ControlCondition::both_high);
    evolution.step();
    std::vector<std::byte> state = evolution.save();
    state.resize(state.size() / 2);

    EXPECT_THROW(chain(CodeOptimiser::genetic, ControlCondition::both_high).load(state), Error);
}

TEST(Trajectory, CountsTheGenerationsBeforeTheThresholdsWerePassedForGood)
{
    Trajectory found;
    found.missed = {1, 1, 0, 0};
    EXPECT_EQ(found.threshold_generation(), 2);
    found.missed = {0, 0};
    EXPECT_EQ(found.threshold_generation(), 0);
    found.missed = {1, 1};
    EXPECT_EQ(found.threshold_generation(), 2);
}

}  // namespace
}  // namespace twinscreen
