#include <cmath>
#include <limits>
#include <vector>

#include <gtest/gtest.h>

#include "experiments/relational_control/pair_similarity.hpp"
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
