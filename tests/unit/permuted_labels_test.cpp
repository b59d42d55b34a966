#include "kernels/permuted_labels.hpp"

#include <algorithm>
#include <cmath>
#include <map>

#include <gtest/gtest.h>

#include "engine/base/error.hpp"
#include "kernels/draw_words.hpp"
#include "kernels/normal.hpp"

namespace twinscreen {
namespace {

TEST(DrawWords, AreTheWordsOfSingleDraws)
{
    const DrawAddress at{0x123456789ABCDEFULL, DrawStream::permuted_labels, (7ULL << 32U) + 3, 0};
    std::vector<std::uint32_t> words(4 * 75);  // two blocks of lanes and a rest

    draw_words(at, 0xFFFFFFF0U, words);  // over the end of the counter

    for (std::uint32_t i = 0; i < 75; ++i) {
        const auto bits = draw_bits({at.seed, at.stream, at.item, 0xFFFFFFF0U + i});
        for (std::size_t word = 0; word < 4; ++word) EXPECT_EQ(words[4 * i + word], bits[word]);
    }
    EXPECT_THROW(draw_words(at, 0, std::span(words).first(6)), Error);
}

TEST(PermutedLabels, AllOrdersAreEquallyFrequent)
{
    // Bounds of chi-square with orders - 1 degrees of freedom: the 99.9 % points.
    for (const auto& [labels, orders, bound] :
         {std::tuple{2U, 2U, 10.8}, {3U, 6U, 20.5}, {4U, 24U, 49.7}}) {
        std::map<std::array<int, 4>, double> seen;
        constexpr std::uint32_t blocks = 60;
        std::array<LabelCode, label_block> codes{};
        for (std::uint32_t block = 0; block < blocks; ++block) {
            draw_labels({1, DrawStream::permuted_labels, 5, 0}, block, labels, codes);
            for (const LabelCode code : codes) {
                std::array<int, 4> order{0, 1, 2, 3};
                relabel(code, order.data());
                seen[order] += 1.0;
            }
        }
        double chi_square = 0.0;
        const double expected = static_cast<double>(label_block * blocks) / orders;
        for (const auto& [order, count] : seen) {
            chi_square += (count - expected) * (count - expected) / expected;
            for (std::size_t place = labels; place < 4; ++place)
                EXPECT_EQ(order[place], static_cast<int>(place));
        }

        EXPECT_EQ(seen.size(), orders);
        EXPECT_LT(chi_square, bound) << labels;
    }
}

TEST(PermutedLabels, DoNotFollowThoseOfTheSameWord)
{
    // Places 128 apart share a word: all 24 * 24 pairs of orders, 575 degrees of freedom.
    std::map<std::pair<LabelCode, LabelCode>, double> seen;
    constexpr std::uint32_t blocks = 300;
    std::array<LabelCode, label_block> codes{};
    for (std::uint32_t block = 0; block < blocks; ++block) {
        draw_labels({1, DrawStream::permuted_labels, 6, 0}, block, 4, codes);
        for (std::size_t word = 0; word < 128; ++word)
            seen[{codes[word + 128], codes[word + 256]}] += 1.0;
    }

    double chi_square = 0.0;
    constexpr double expected = 128.0 * blocks / 576.0;
    for (const auto& [pair, count] : seen)
        chi_square += (count - expected) * (count - expected) / expected;

    EXPECT_EQ(seen.size(), 576U);
    EXPECT_LT(chi_square, 575.0 + 3.1 * std::sqrt(2.0 * 575.0));
    EXPECT_GT(chi_square, 575.0 - 3.1 * std::sqrt(2.0 * 575.0));
}

/// [images, areas] of correlated responses around 3.
std::vector<float> test_responses(std::size_t images, std::size_t areas)
{
    std::vector<float> responses(images * areas);
    for (std::size_t image = 0; image < images; ++image) {
        const auto z = normal_draws({3, DrawStream::synthetic_noise, image, 0});
        for (std::size_t area = 0; area < areas; ++area)
            responses[image * areas + area] =
                3.0F + z[area] + (area > 0 ? 0.5F * z[area - 1] : 0.0F);
    }
    return responses;
}

double naive_pearson(const std::vector<double>& values, std::size_t columns, std::size_t a,
                     std::size_t b)
{
    const auto rows = static_cast<double>(values.size()) / static_cast<double>(columns);
    double mean_a = 0.0;
    double mean_b = 0.0;
    for (std::size_t row = 0; row < values.size(); row += columns) {
        mean_a += values[row + a] / rows;
        mean_b += values[row + b] / rows;
    }
    double ab = 0.0;
    double aa = 0.0;
    double bb = 0.0;
    for (std::size_t row = 0; row < values.size(); row += columns) {
        ab += (values[row + a] - mean_a) * (values[row + b] - mean_b);
        aa += (values[row + a] - mean_a) * (values[row + a] - mean_a);
        bb += (values[row + b] - mean_b) * (values[row + b] - mean_b);
    }
    return ab / std::sqrt(aa * bb);
}

TEST(LabelCorrelations, AreThoseOfTheRelabelledResponses)
{
    constexpr double tolerance = 1e-6;  // products in float, sums of 32 of them
    for (const std::uint32_t areas : {2U, 3U, 4U}) {
        constexpr std::size_t images = 1300;  // two blocks and a rest
        const std::vector<float> responses = test_responses(images, areas);
        const LabelCorrelations correlations(responses, areas);
        const DrawAddress at{11, DrawStream::permuted_labels, 4, 0};
        std::vector<double> as_given(images * 4, 0.0);
        for (std::size_t image = 0; image < images; ++image)
            for (std::size_t area = 0; area < areas; ++area)
                as_given[image * 4 + area] = static_cast<double>(responses[image * areas + area]);
        std::vector<double> relabelled = as_given;
        std::array<LabelCode, label_block> codes{};
        for (std::size_t image = 0; image < images; ++image) {
            if (image % label_block == 0)
                draw_labels(at, static_cast<std::uint32_t>(image / label_block), areas, codes);
            relabel(codes[image % label_block], &relabelled[image * 4]);
        }

        const auto observed = correlations.observed();
        const auto permuted = correlations.permuted(at);

        for (std::size_t a = 0; a < areas; ++a)
            for (std::size_t b = a + 1; b < areas; ++b) {
                EXPECT_NEAR(observed[label_pair(a, b)], naive_pearson(as_given, 4, a, b),
                            tolerance);
                EXPECT_NEAR(permuted[label_pair(a, b)], naive_pearson(relabelled, 4, a, b),
                            tolerance);
            }
    }
}

TEST(LabelCorrelations, SeeAreasThatVaryLittleBesideTheirDistance)
{
    constexpr std::size_t images = 1300;
    std::vector<float> responses = test_responses(images, 4);
    std::vector<double> as_given;
    for (std::size_t at = 0; at < responses.size(); ++at) {
        responses[at] = 0.001F * responses[at] + 100.0F * static_cast<float>(at % 4);
        as_given.push_back(static_cast<double>(responses[at]));
    }

    const LabelCorrelations correlations(responses, 4);

    for (std::size_t a = 0; a < 4; ++a)
        for (std::size_t b = a + 1; b < 4; ++b)
            EXPECT_NEAR(correlations.observed()[label_pair(a, b)], naive_pearson(as_given, 4, a, b),
                        1e-12);
}

TEST(LabelCorrelations, OfAnAreaThatDoesNotVaryAreNan)
{
    std::vector<float> responses = test_responses(500, 3);
    for (std::size_t at = 1; at < responses.size(); at += 3) responses[at] = 0.1F;

    const LabelCorrelations correlations(responses, 3);

    EXPECT_TRUE(std::isnan(correlations.observed()[label_pair(0, 1)]));
    EXPECT_TRUE(std::isnan(correlations.observed()[label_pair(1, 2)]));
    EXPECT_FALSE(std::isnan(correlations.observed()[label_pair(0, 2)]));
}

TEST(LabelCorrelations, RefuseWhatTheyCannotRelabel)
{
    std::vector<float> responses = test_responses(50, 4);
    std::array<LabelCode, label_block> codes{};

    EXPECT_THROW(LabelCorrelations(responses, 5), Error);
    EXPECT_THROW(LabelCorrelations(std::span(responses).first(4), 4), Error);
    EXPECT_THROW(draw_labels({}, 0, 5, codes), Error);
    responses[7] = std::nanf("");
    EXPECT_THROW(LabelCorrelations(responses, 4), Error);
}

}  // namespace
}  // namespace twinscreen
