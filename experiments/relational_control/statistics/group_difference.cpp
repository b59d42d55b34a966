#include "experiments/relational_control/statistics/group_difference.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "engine/base/error.hpp"
#include "kernels/partial_shuffle.hpp"
#include "kernels/set_draw.hpp"

namespace twinscreen {
namespace {

double sum_of(std::span<const double> values)
{
    return std::accumulate(values.begin(), values.end(), 0.0);
}

/// How far two means of some of the values, summed in other orders, may lie apart.
double rounding_of(std::span<const double> values)
{
    double largest = 0.0;
    for (const double value : values) largest = std::max(largest, std::abs(value));
    return 1e-12 * largest;
}

}  // namespace

PermutationTest permute_groups(std::span<const double> first, std::span<const double> second,
                               std::size_t split, const PermutationBlock& block, Tail tail)
{
    std::vector<double> pooled(first.begin(), first.end());
    pooled.insert(pooled.end(), second.begin(), second.end());
    TWINSCREEN_REQUIRE(split > 0 && split < pooled.size(), internal,
                       "{} values cannot be split after {}", pooled.size(), split);
    const auto rest = static_cast<double>(pooled.size() - split);
    const auto size = static_cast<double>(split);
    const double total = sum_of(pooled);
    PermutationTest test{.observed = sum_of(first) / static_cast<double>(first.size()) -
                                     sum_of(second) / static_cast<double>(second.size()),
                         .tail = tail};
    const double rounding = tail == Tail::at_least ? rounding_of(pooled) : 0.0;
    const bool draws_first = 2 * split <= pooled.size();
    PartialShuffle shuffle(static_cast<std::uint32_t>(pooled.size()));
    std::vector<std::uint32_t> drawn(std::min(split, pooled.size() - split));
    for (std::uint32_t t = block.first; t < block.first + block.count; ++t) {
        shuffle.draw(block.address(DrawStream::permuted_labels, t), drawn);
        double sum = 0.0;
        for (const std::uint32_t at : drawn) sum += pooled[at];
        const double difference =
            draws_first ? sum / size - (total - sum) / rest : (total - sum) / size - sum / rest;
        const bool is_tie = std::abs(difference - test.observed) <= rounding;
        test.add(is_tie ? test.observed : difference);
    }
    return test;
}

PermutationTest flip_signs(std::span<const double> differences, const PermutationBlock& block)
{
    const auto pairs = static_cast<double>(differences.size());
    const double total = sum_of(differences);
    PermutationTest test{.observed = total / pairs, .tail = Tail::at_least};
    constexpr std::size_t bits = 32;
    for (std::uint32_t t = block.first; t < block.first + block.count; ++t) {
        DrawWords words(block.address(DrawStream::flipped_signs, t));
        double flipped = 0.0;
        std::uint32_t word = 0;
        for (std::size_t pair = 0; pair < differences.size(); ++pair, word >>= 1U) {
            if (pair % bits == 0) word = words.next();
            if ((word & 1U) != 0U) flipped += differences[pair];
        }
        test.add((total - 2.0 * flipped) / pairs);
    }
    return test;
}

}  // namespace twinscreen
