#include "experiments/relational_control/statistics/pair_label_tests.hpp"

#include "engine/base/error.hpp"
#include "kernels/partial_shuffle.hpp"

namespace twinscreen {
namespace {

/// score(pair) of all pairs, by group.
template <class Score>
void sum_groups(const PairGroups& groups, const Score& score, std::span<GroupSum> sums)
{
    for (std::size_t group = 0; group < groups.size(); ++group) {
        double sum = 0.0;
        for (const std::uint32_t pair : groups[group]) sum += score(pair);
        sums[group] = {sum, static_cast<double>(groups[group].size())};
    }
}

}  // namespace

std::vector<TrendTests> permute_pair_labels(const PairScores& scores, const PairGroups& groups,
                                            Compat compat, std::uint32_t iterations,
                                            const PermutationBlock& block)
{
    const std::size_t draws = scores.null_scores.size() / scores.pairs;
    const std::size_t slices = scores.observed.size();
    TWINSCREEN_REQUIRE(draws >= slices * iterations && block.first + block.count <= iterations,
                       internal, "iterations {} to {} of {} need {} draws, there are {}",
                       block.first, block.first + block.count, iterations, slices * iterations,
                       draws);
    for (const auto& group : groups)
        for (const std::uint32_t pair : group)
            TWINSCREEN_REQUIRE(pair < scores.pairs, internal, "pair {} of {}", pair, scores.pairs);
    std::vector<GroupSum> sums(groups.size());
    std::vector<TrendTests> tests;
    for (const auto& observed : scores.observed) {
        sum_groups(
            groups, [&](std::uint32_t pair) { return observed[pair]; }, sums);
        tests.emplace_back(sums, TrendDirection::falling);
    }
    PartialShuffle shuffle(static_cast<std::uint32_t>(scores.pairs));
    std::vector<std::uint32_t> row_of(scores.pairs);
    for (std::uint32_t t = block.first; t < block.first + block.count; ++t) {
        const std::uint32_t permutation = compat == Compat::reference ? 0 : t;
        shuffle.draw(block.address(DrawStream::permuted_labels, permutation), row_of);
        for (std::size_t slice = 0; slice < slices; ++slice) {
            const std::size_t draw = slice * iterations + t;
            const auto null_score = [&](std::uint32_t pair) {
                return scores.null_scores[row_of[pair] * draws + draw];
            };
            sum_groups(groups, null_score, sums);
            tests[slice].add(sums);
        }
    }
    return tests;
}

}  // namespace twinscreen
