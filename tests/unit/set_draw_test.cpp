#include "kernels/set_draw.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <vector>

#include <gtest/gtest.h>

namespace twinscreen {
namespace {

using Ids = std::vector<std::uint32_t>;

Ids drawn_set(std::uint32_t bound, std::uint32_t count, std::uint32_t member)
{
    Ids ids(count);
    draw_sets(set_address(7, DrawStream::population, 2, 5, member), bound, count, ids);
    return ids;
}

Ids mutant_of(const Ids& set, std::uint32_t bound, std::uint32_t exchanged, std::uint32_t member)
{
    Ids mutant(set.size());
    draw_mutants(set_address(7, DrawStream::mutation, 2, 5, member), bound,
                 static_cast<std::uint32_t>(set.size()), set, Ids{exchanged}, mutant);
    return mutant;
}

/// Floyd's algorithm as published, with a set.
std::set<std::uint32_t> floyd(DrawAddress at, std::uint32_t bound, std::uint32_t count)
{
    std::set<std::uint32_t> ids;
    for (std::uint32_t i = 0; i < count; ++i) {
        const auto bits = draw_bits({at.seed, at.stream, at.item, at.index + i / 4});
        const std::uint32_t last = bound - count + i;
        if (!ids.insert(below(bits[i % 4], last + 1)).second) ids.insert(last);
    }
    return ids;
}

bool is_ascending_below(const Ids& ids, std::uint32_t bound)
{
    return std::ranges::adjacent_find(ids, std::greater_equal<>()) == ids.end() &&
           ids.back() < bound;
}

std::size_t shared(const Ids& a, const Ids& b)
{
    Ids both;
    std::ranges::set_intersection(a, b, std::back_inserter(both));
    return both.size();
}

/// Sum of (observed - expected)^2 / expected.
double chi_square(const std::vector<double>& observed)
{
    double total = 0.0;
    for (const double count : observed) total += count;
    const double expected = total / static_cast<double>(observed.size());
    double sum = 0.0;
    for (const double count : observed) sum += (count - expected) * (count - expected) / expected;
    return sum;
}

/// Beyond which chi-square with this many degrees of freedom lies once in 10,000 times (normal
/// approximation of Wilson & Hilferty 1931).
double rarely_above(double freedom)
{
    const double z = 3.719;
    const double a = 2.0 / (9.0 * freedom);
    return freedom * std::pow(1.0 - a + z * std::sqrt(a), 3.0);
}

TEST(DrawnSet, IsThatOfFloydsAlgorithmInAscendingOrder)
{
    for (const std::uint32_t bound : {50U, 51U, 64U, 1000U, 73'000U, 1U << 31U}) {
        for (std::uint32_t member = 0; member < 50; ++member) {
            const Ids ids = drawn_set(bound, 50, member);

            const auto expected =
                floyd(set_address(7, DrawStream::population, 2, 5, member), bound, 50);
            EXPECT_TRUE(std::ranges::equal(ids, expected));
            EXPECT_TRUE(is_ascending_below(ids, bound));
        }
    }
}

TEST(DrawnSet, OfAllItemsIsAllItems)
{
    for (const std::uint32_t count : {1U, 3U, 50U, largest_set}) {
        const Ids ids = drawn_set(count, count, 0);

        for (std::uint32_t i = 0; i < count; ++i) ASSERT_EQ(ids[i], i);
    }
}

TEST(DrawnSet, HoldsEveryItemEquallyOften)
{
    constexpr std::uint32_t bound = 97;
    std::vector<double> seen(bound, 0.0);
    for (std::uint32_t member = 0; member < 4000; ++member)
        for (const std::uint32_t id : drawn_set(bound, 20, member)) ++seen[id];

    // Without replacement counts spread less than chi-square says, by (1 - 20 / 97).
    EXPECT_LT(chi_square(seen) / (1.0 - 20.0 / 97.0), rarely_above(bound - 1));
}

TEST(DrawnSet, IsAnySetEquallyOften)
{
    std::map<Ids, double> seen;
    for (std::uint32_t member = 0; member < 10'000; ++member) ++seen[drawn_set(7, 3, member)];

    ASSERT_EQ(seen.size(), 35U);  // 7 over 3
    std::vector<double> counts;
    for (const auto& entry : seen) counts.push_back(entry.second);
    EXPECT_LT(chi_square(counts), rarely_above(34));
}

TEST(DrawnSet, DependsOnEveryPartOfItsAddressAndNotOnItsNeighbours)
{
    std::set<Ids> seen;
    for (const std::uint64_t seed : {1ULL, 2ULL})
        for (const std::uint32_t chain : {0U, 1U})
            for (const std::uint32_t generation : {0U, 1U}) {
                Ids three(std::size_t{3} * 50);
                draw_sets(set_address(seed, DrawStream::population, chain, generation, 0), 26'107,
                          50, three);
                Ids last(50);
                draw_sets(set_address(seed, DrawStream::population, chain, generation, 2), 26'107,
                          50, last);

                EXPECT_TRUE(std::equal(last.begin(), last.end(), three.begin() + 100));
                for (std::size_t at = 0; at < 150; at += 50)
                    seen.insert(Ids(&three[at], &three[at] + 50));
            }

    EXPECT_EQ(seen.size(), 24U);
}

TEST(Mutant, ExchangesExactlyAsManyIdsAsAsked)
{
    for (const std::uint32_t bound : {88U, 100U, 26'107U, 1U << 31U}) {
        const Ids set = drawn_set(bound, 50, 9);
        for (const std::uint32_t exchanged : {1U, 5U, 12U, 25U, 38U}) {
            for (std::uint32_t member = 0; member < 20; ++member) {
                const Ids mutant = mutant_of(set, bound, exchanged, member);

                EXPECT_TRUE(is_ascending_below(mutant, bound));
                EXPECT_EQ(shared(set, mutant), 50U - exchanged);
            }
        }
    }
}

TEST(Mutant, MayExchangeEverything)
{
    const Ids set = drawn_set(100, 50, 3);

    const Ids mutant = mutant_of(set, 100, 50, 0);

    EXPECT_EQ(shared(set, mutant), 0U);  // with 100 items: all others
}

TEST(Mutant, LosesEveryPositionAndGainsEveryOtherItemEquallyOften)
{
    constexpr std::uint32_t bound = 60;
    const Ids set = drawn_set(bound, 20, 4);
    std::vector<double> lost(20, 0.0);
    std::map<std::uint32_t, double> gained;
    for (std::uint32_t member = 0; member < 8000; ++member) {
        const Ids mutant = mutant_of(set, bound, 3, member);
        for (std::size_t at = 0; at < 20; ++at)
            if (!std::ranges::binary_search(mutant, set[at])) ++lost[at];
        for (const std::uint32_t id : mutant)
            if (!std::ranges::binary_search(set, id)) ++gained[id];
    }

    std::vector<double> counts;
    for (const auto& entry : gained) counts.push_back(entry.second);
    ASSERT_EQ(counts.size(), 40U);
    EXPECT_LT(chi_square(lost), rarely_above(19));
    EXPECT_LT(chi_square(counts), rarely_above(39));
}

TEST(Exchange, TakesAnyPositionAndAnyItemThatIsNotThere)
{
    constexpr std::uint32_t bound = 30;
    const Ids set = drawn_set(bound, 10, 4);
    std::vector<double> positions(10, 0.0);
    std::map<std::uint32_t, double> gained;
    for (std::uint32_t member = 0; member < 8000; ++member) {
        const Exchange exchange = draw_exchange(set_address(7, DrawStream::exchange, 0, 1, member),
                                                bound, set.data(), 10);
        EXPECT_FALSE(std::ranges::binary_search(set, exchange.id));
        ++positions[exchange.position];
        ++gained[exchange.id];
    }

    std::vector<double> counts;
    for (const auto& entry : gained) counts.push_back(entry.second);
    ASSERT_EQ(counts.size(), 20U);
    EXPECT_LT(gained.rbegin()->first, bound);
    EXPECT_LT(chi_square(positions), rarely_above(9));
    EXPECT_LT(chi_square(counts), rarely_above(19));
}

}  // namespace
}  // namespace twinscreen
