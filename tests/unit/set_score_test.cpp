#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include <gtest/gtest.h>

#include "experiments/relational_control/search/pair_similarity.hpp"
#include "experiments/relational_control/search/view_scores.hpp"
#include "kernels/set_draw.hpp"
#include "tests/unit/pattern_support.hpp"

namespace twinscreen {
namespace {

using patterns::Area;
using Ids = std::vector<std::uint32_t>;

constexpr float nan = std::numeric_limits<float>::quiet_NaN();

Ids drawn_sets(std::uint32_t items, std::uint32_t set_size, std::size_t count)
{
    Ids ids(count * set_size);
    draw_sets(set_address(3, DrawStream::null_draw, 0, 0, 0), items, set_size, ids);
    return ids;
}

Ids set_of(const Ids& sets, std::size_t set_size, std::size_t set)
{
    const auto first = sets.begin() + static_cast<std::ptrdiff_t>(set * set_size);
    return {first, first + static_cast<std::ptrdiff_t>(set_size)};
}

std::vector<double> scored(PairSimilarity& similarity, const Ids& sets, std::uint32_t set_size)
{
    std::vector<double> scores(sets.size() / set_size);
    similarity.score_sets(sets, set_size, scores);
    return scores;
}

/// Three areas of 120 items, of different widths.
struct Study {
    std::vector<Area> areas{patterns::made_area(120, 37, 5, 1.0, 1, 0),
                            patterns::made_area(120, 64, 5, 2.0, 1, 1),
                            patterns::made_area(120, 200, 5, 3.0, 1, 2)};
    std::vector<float> values = patterns::stored_values(areas);

    StoredSimilarities stored(std::uint32_t first, std::uint32_t second) const
    {
        return {values.data(), 120, 3, first, second};
    }
};

const Study& study()
{
    static const Study made;
    return made;
}

TEST(SetScore, IsThatOfNaiveLoopsOverPatterns)
{
    for (const auto& [first, second] : {std::pair{0U, 1U}, std::pair{2U, 0U}}) {
        const auto similarity = from_stored(study().stored(first, second));
        for (const std::uint32_t size : {3U, 9U, 50U}) {
            const Ids sets = drawn_sets(120, size, 4);

            const auto scores = scored(*similarity, sets, size);

            // Similarities are stored in float: 6e-8 each.
            for (std::size_t set = 0; set < scores.size(); ++set)
                EXPECT_NEAR(scores[set],
                            patterns::naive_agreement(study().areas[first], study().areas[second],
                                                      set_of(sets, size, set)),
                            1e-6);
        }
    }
}

TEST(SetScore, IsTheSameInAnyCompany)
{
    const auto together = from_stored(study().stored(0, 1));
    const auto alone = from_stored(study().stored(0, 1));
    const Ids sets = drawn_sets(120, 50, 300);

    const auto scores = scored(*together, sets, 50);

    for (std::size_t set = 0; set < 300; ++set)
        EXPECT_EQ(scored(*alone, set_of(sets, 50, set), 50).front(), scores[set]);
}

TEST(SetScore, IsOneForTwoAreasThatAreTheSame)
{
    const auto similarity = from_stored(study().stored(1, 1));

    for (const double score : scored(*similarity, drawn_sets(120, 20, 50), 20)) {
        EXPECT_LE(score, 1.0);
        EXPECT_NEAR(score, 1.0, 1e-15);
    }
}

TEST(SetScore, IsNanWhereASideDoesNotVaryOrAValueIsNan)
{
    std::vector<float> values = study().values;
    for (std::size_t pair = 0; pair < std::size_t{120} * 120; ++pair) values[3 * pair + 1] = 0.1F;
    values[(std::size_t{7} * 120 + 3) * 3] = nan;
    const StoredSimilarities constant{values.data(), 120, 3, 0, 1};
    const StoredSimilarities missing{values.data(), 120, 3, 0, 2};

    EXPECT_TRUE(std::isnan(scored(*from_stored(constant), Ids{1, 4, 5, 9}, 4).front()));
    EXPECT_TRUE(std::isnan(scored(*from_stored(missing), Ids{1, 3, 7, 9}, 4).front()));
    EXPECT_FALSE(std::isnan(scored(*from_stored(missing), Ids{1, 3, 8, 9}, 4).front()));
}

TEST(SetScore, AddsRowsAsOnePassOverStoredPairsDoes)
{
    const Ids set = drawn_sets(120, 50, 1);
    const StoredSimilarities stored = study().stored(0, 2);
    std::vector<float> x(std::size_t{50} * 56);
    std::vector<float> y(std::size_t{50} * 56);
    for (std::size_t row = 1; row < 50; ++row)
        for (std::size_t column = 0; column < row; ++column) {
            x[row * 56 + column] = stored.pair(set[row], set[column])[0];
            y[row * 56 + column] = stored.pair(set[row], set[column])[2];
        }

    const double score = correlation(set_sums(x.data(), y.data(), 50, 56), pair_count(50));

    EXPECT_EQ(score, scored(*from_stored(stored), set, 50).front());
}

TEST(SetScore, RoundsRowsAlikeOnTheHostAndInTheCommonFunctor)
{
    std::vector<float> x(64);
    std::vector<float> y(64);
    for (std::size_t i = 0; i < 64; ++i) {
        x[i] = normal_draws({1, DrawStream::synthetic_noise, i, 0})[0];
        y[i] = normal_draws({1, DrawStream::synthetic_noise, i, 0})[1];
    }
    for (std::uint32_t count = 1; count <= 56; ++count) {
        const PairSums host = sums_of_row(x.data(), y.data(), count, {0.3F, -0.2F});
        const PairSums common = row_sums(x.data(), y.data(), count, {0.3F, -0.2F});

        EXPECT_EQ(host.x, common.x);
        EXPECT_EQ(host.y, common.y);
        EXPECT_EQ(host.xx, common.xx);
        EXPECT_EQ(host.yy, common.yy);
        EXPECT_EQ(host.xy, common.xy);
    }
}

/// The patterns of two of the three areas as rows, some values apart.
struct Factors {
    std::vector<float> first_rows;
    std::vector<float> second_rows;
    PatternRows first;
    PatternRows second;

    Factors(std::size_t a, std::size_t b)
        : first_rows(patterns::unit_rows(study().areas[a], study().areas[a].units + 5)),
          second_rows(patterns::unit_rows(study().areas[b], study().areas[b].units)),
          first(view(first_rows, a, 5)),
          second(view(second_rows, b, 0))
    {
    }
    static PatternRows view(const std::vector<float>& rows, std::size_t area, std::size_t apart)
    {
        const std::size_t units = study().areas[area].units;
        return {rows.data(), 120, static_cast<std::uint32_t>(units), units + apart};
    }
};

TEST(Factors, GiveTheScoresOfStoredSimilarities)
{
    for (const auto& [first, second] : {std::pair{0U, 1U}, std::pair{1U, 2U}, std::pair{2U, 0U}}) {
        const Factors factors(first, second);
        const auto from_patterns = from_factors(factors.first, factors.second);
        const auto from_memory = from_stored(study().stored(first, second));
        for (const std::uint32_t size : {9U, 16U, 17U, 50U}) {
            const Ids sets = drawn_sets(120, size, 20);
            const auto computed = scored(*from_patterns, sets, size);
            const auto stored = scored(*from_memory, sets, size);

            // Products of up to 200 units in float: about 1e-7.
            for (std::size_t set = 0; set < 20; ++set)
                EXPECT_NEAR(computed[set], stored[set], 1e-6);
        }
    }
}

TEST(ViewScores, AreThoseOfEveryPairOfMeansByItselfToTheLastBit)
{
    const Factors rows(0, 1), more(2, 2);
    const std::vector<PatternRows> populations{rows.first, rows.second, more.first};
    const std::vector<ViewScores::Cell> cells{{{{0, 1.0F}}, {{1, 1.0F}}},
                                              {{{2, 1.0F}}, {{0, 0.25F}, {1, 0.75F}}},
                                              {{{0, 0.25F}, {1, 0.75F}}, {{2, 0.5F}, {0, 0.5F}}}};
    const auto weighted = [&](const std::vector<ViewScores::Share>& shares) {
        std::vector<WeightedPatterns> mean;
        for (const ViewScores::Share& share : shares)
            mean.push_back({populations[share.population], share.weight});
        return mean;
    };
    for (const std::uint32_t size : {9U, 50U}) {
        const Ids sets = drawn_sets(120, size, 20);
        std::vector<double> together(20 * cells.size());
        ViewScores(populations, cells).score_sets(sets, size, together);

        for (std::size_t cell = 0; cell < cells.size(); ++cell) {
            const auto alone =
                scored(*from_factors(weighted(cells[cell].first), weighted(cells[cell].second)),
                       sets, size);
            for (std::size_t set = 0; set < 20; ++set)
                EXPECT_EQ(together[set * cells.size() + cell], alone[set]);
        }
    }
}

TEST(Factors, RoundEveryProductAsTheCommonFunctorDoes)
{
    const Factors factors(2, 1);
    const Ids set = drawn_sets(120, 50, 1);
    std::vector<float> panel(std::size_t{200} * 64);
    std::vector<float> products(std::size_t{54} * 64);

    for (const PatternRows& rows : {factors.first, factors.second}) {
        multiply_set(rows, set, panel.data(), products.data());
        for (std::size_t i = 1; i < 50; ++i)
            for (std::size_t j = 0; j < i; ++j)
                EXPECT_EQ(products[i * 64 + j],
                          pattern_product(rows.row(set[i]), rows.row(set[j]), rows.units));

        transpose_patterns(rows, set, panel.data());
        multiply_with_panel(rows, Ids{7, 90}, panel.data(), 64, products.data());
        for (std::size_t j = 0; j < 50; ++j) {
            EXPECT_EQ(products[j], pattern_product(rows.row(7), rows.row(set[j]), rows.units));
            EXPECT_EQ(products[64 + j],
                      pattern_product(rows.row(90), rows.row(set[j]), rows.units));
        }
    }
}

TEST(Factors, OfAnItemWithoutPatternGiveNan)
{
    Factors factors(0, 1);
    std::fill_n(factors.first_rows.begin() + 9 * 42, 37, nan);  // a constant pattern over length 0

    const auto scores =
        scored(*from_factors(factors.first, factors.second), Ids{3, 9, 50, 51, 3, 10, 50, 51}, 4);

    EXPECT_TRUE(std::isnan(scores[0]));
    EXPECT_FALSE(std::isnan(scores[1]));
}

TEST(SimilarityForm, IsStoredWhereThatFitsAndPatternsAreNotNarrow)
{
    const Ids wide{200, 200};
    const Ids narrow{20, 30};

    EXPECT_EQ(stored_bytes(26'107, 2), 5'452'603'592U);
    EXPECT_EQ(choose_form(26'107, wide, 5'452'603'592U), SimilarityForm::stored);
    EXPECT_EQ(choose_form(26'107, wide, 5'452'603'591U), SimilarityForm::factors);
    EXPECT_EQ(choose_form(26'107, narrow, std::uint64_t{1} << 40U), SimilarityForm::factors);
    EXPECT_EQ(choose_form(300, narrow, std::uint64_t{1} << 40U), SimilarityForm::stored);
    EXPECT_EQ(choose_form(std::uint64_t{1} << 31U, wide, std::uint64_t{1} << 40U),
              SimilarityForm::factors);
}

TEST(HeldSet, IsComparedWithAnyItem)
{
    const auto similarity = from_stored(study().stored(0, 1));
    const Ids held{3, 40, 77, 119};
    const Ids candidates{0, 41, 118};
    std::vector<float> x(12);
    std::vector<float> y(12);

    similarity->hold(held);
    similarity->compare_with_held(candidates, x, y);

    for (std::size_t c = 0; c < 3; ++c)
        for (std::size_t h = 0; h < 4; ++h) {
            const float* pair = study().stored(0, 1).pair(std::max(candidates[c], held[h]),
                                                          std::min(candidates[c], held[h]));
            EXPECT_EQ(x[c * 4 + h], pair[0]);
            EXPECT_EQ(y[c * 4 + h], pair[1]);
        }
}

}  // namespace
}  // namespace twinscreen
