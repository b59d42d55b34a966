#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "kernels/set_gram.hpp"

namespace twinscreen {

/// Scores sets in many pairs of areas, each seen through several means over subjects, at once: the
/// products of the patterns of a population, which take nearly all the time, are the same in all of
/// them. The scores are those of `from_factors`, to the last bit. One object per thread.
class ViewScores {
public:
    /// A population with its weight in a mean.
    struct Share {
        std::size_t population = 0;
        float weight = 1.0F;

        friend bool operator==(const Share&, const Share&) = default;
    };
    /// The means of two areas that are compared.
    struct Cell {
        std::vector<Share> first;
        std::vector<Share> second;
    };

    /// populations  patterns of the same items, which must outlive this
    ViewScores(std::vector<PatternRows> populations, const std::vector<Cell>& cells);

    /// Agreement of each set in each cell, as PairSimilarity::score_sets.
    ///
    /// sets    [sets, set_size]
    /// scores  [sets, cells]
    void score_sets(std::span<const std::uint32_t> sets, std::uint32_t set_size,
                    std::span<double> scores);

private:
    std::size_t mean_of(const std::vector<Share>& shares);
    void ask_for(std::span<const std::uint32_t> ids) const;
    void multiply(std::span<const std::uint32_t> ids);

    std::vector<PatternRows> populations_;
    std::vector<bool> is_used_;                               // [populations] in a mean
    std::vector<std::vector<Share>> means_;                   // each once
    std::vector<std::pair<std::size_t, std::size_t>> cells_;  // which two means
    std::vector<float> panel_;
    std::vector<std::vector<float>> products_;  // [populations] of the set at hand
    std::vector<std::vector<float>> summed_;    // [means]
};

/// Puts the first lines of patterns on their way; the rest of a row then comes by itself.
void prefetch_patterns(const PatternRows& patterns, std::span<const std::uint32_t> ids);

/// The weighted sum of the products of populations, in their order.
///
/// sum  [values]
void add_products(std::span<const float* const> products, std::span<const float> weights,
                  std::span<float> sum);

}  // namespace twinscreen
