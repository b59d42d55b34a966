#include "kernels/partial_shuffle.hpp"

#include <algorithm>
#include <map>
#include <numeric>
#include <set>

#include <gtest/gtest.h>

#include "engine/base/error.hpp"
#include "kernels/draw_means.hpp"

namespace twinscreen {
namespace {

std::vector<std::uint32_t> drawn(PartialShuffle& shuffle, std::size_t places, std::uint64_t item)
{
    std::vector<std::uint32_t> chosen(places);
    shuffle.draw({7, DrawStream::permuted_images, item, 0}, chosen);
    return chosen;
}

TEST(PartialShuffle, GivesEveryOrderedChoiceEquallyOften)
{
    PartialShuffle shuffle(5);
    std::map<std::vector<std::uint32_t>, int> seen;
    constexpr int draws = 60'000;
    for (std::uint64_t item = 0; item < draws; ++item) ++seen[drawn(shuffle, 3, item)];

    double chi_square = 0.0;
    constexpr double expected = draws / 60.0;
    for (const auto& [choice, count] : seen)
        chi_square += (count - expected) * (count - expected) / expected;

    EXPECT_EQ(seen.size(), 60U);  // 5 * 4 * 3
    EXPECT_LT(chi_square, 98.3);  // 59 degrees of freedom: the 99.9 % point
    EXPECT_GT(chi_square, 30.3);  // the 0.1 % point
}

TEST(PartialShuffle, OfAllPlacesIsAPermutation)
{
    PartialShuffle shuffle(101);
    std::vector<std::uint32_t> all = drawn(shuffle, 101, 3);
    std::sort(all.begin(), all.end());
    std::vector<std::uint32_t> wanted(101);
    std::iota(wanted.begin(), wanted.end(), 0U);

    EXPECT_EQ(all, wanted);
    EXPECT_THROW(drawn(shuffle, 102, 3), Error);
}

TEST(PartialShuffle, DependsOnItsAddressOnly)
{
    PartialShuffle fresh(1000);
    PartialShuffle used(1000);
    for (std::uint64_t item = 0; item < 50; ++item) drawn(used, 300, item);

    EXPECT_EQ(drawn(fresh, 40, 9), drawn(used, 40, 9));
    EXPECT_NE(drawn(fresh, 40, 9), drawn(fresh, 40, 10));
}

TEST(PartialShuffle, IsTheBeginningOfALongerOne)
{
    PartialShuffle shuffle(1000);
    std::vector<std::uint32_t> longer = drawn(shuffle, 120, 4);

    longer.resize(37);
    EXPECT_EQ(drawn(shuffle, 37, 4), longer);
}

TEST(DrawMeans, AreTheMeansOfEachColumnHoweverTheyAreComputed)
{
    constexpr std::size_t rows = 300;
    constexpr std::size_t columns = 75;  // two tiles and a rest
    constexpr std::size_t size = 9;
    constexpr std::size_t sets = 20;
    std::vector<float> table(rows * columns);
    for (std::size_t i = 0; i < table.size(); ++i)
        table[i] = unit_interval(draw_bits({1, DrawStream::synthetic_noise, i, 0})[0]);
    PartialShuffle shuffle(rows);
    std::vector<std::uint32_t> ids;
    for (std::uint64_t set = 0; set < sets; ++set) {
        const auto chosen = drawn(shuffle, size, set);
        ids.insert(ids.end(), chosen.begin(), chosen.end());
    }
    std::vector<double> means(sets * columns);
    std::vector<double> one_by_one(sets * columns);

    draw_means(table, ids, size, columns, means);
    const DrawMeans body{table.data(), ids.data(), one_by_one.data(), columns, size};
    for (std::size_t index = 0; index < one_by_one.size(); ++index)
        body(static_cast<std::int64_t>(index));

    EXPECT_EQ(means, one_by_one);
    for (std::size_t set = 0; set < sets; ++set)
        for (std::size_t c = 0; c < columns; ++c) {
            long double sum = 0.0L;
            for (std::size_t k = 0; k < size; ++k) sum += table[ids[set * size + k] * columns + c];
            EXPECT_NEAR(means[set * columns + c], static_cast<double>(sum / size), 1e-15);
        }
}

}  // namespace
}  // namespace twinscreen
