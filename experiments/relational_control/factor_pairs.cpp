#include <algorithm>
#include <array>
#include <vector>

#include "engine/base/error.hpp"
#include "experiments/relational_control/pair_similarity.hpp"

namespace twinscreen {
namespace {

constexpr std::size_t no_gain_beyond = 1;  // sets are scored one by one
constexpr std::size_t floats_per_line = 16;

/// Memory for the products of one area.
struct Products {
    std::vector<float> panel;
    std::vector<float> held_panel;
    std::vector<float> values;
};

class FactorPairs final : public PairSimilarity {
public:
    FactorPairs(const PatternRows& first, const PatternRows& second) : patterns_{first, second}
    {
        TWINSCREEN_REQUIRE(
            first.items == second.items && first.units > 0 && second.units > 0 &&
                first.units <= first.stride && second.units <= second.stride,
            internal, "patterns of {} and {} items, {} and {} units, {} and {} values apart",
            first.items, second.items, first.units, second.units, first.stride, second.stride);
    }

    std::uint32_t items() const noexcept override
    {
        return static_cast<std::uint32_t>(patterns_[0].items);
    }

    std::size_t sets_at_once() const noexcept override { return no_gain_beyond; }

    void score_sets(std::span<const std::uint32_t> sets, std::uint32_t set_size,
                    std::span<double> scores) override
    {
        const std::size_t columns = padded_columns(set_size);
        for (Products& products : products_) {
            products.panel.resize(units_per_sum * columns);
            products.values.resize(padded_rows_of_products(set_size) * columns);
        }
        for (std::size_t set = 0; set < scores.size(); ++set) {
            const auto ids = sets.subspan(set * set_size, set_size);
            if (set + 1 < scores.size()) ask_for(sets.subspan((set + 1) * set_size, set_size));
            for (std::size_t area = 0; area < 2; ++area)
                multiply_set(patterns_[area], ids, products_[area].panel.data(),
                             products_[area].values.data());
            scores[set] =
                correlation(set_sums(products_[0].values.data(), products_[1].values.data(),
                                     set_size, static_cast<std::uint32_t>(columns)),
                            pair_count(set_size));
        }
    }

    void hold(std::span<const std::uint32_t> ids) override
    {
        held_ = ids.size();
        for (std::size_t area = 0; area < 2; ++area) {
            std::vector<float>& panel = products_[area].held_panel;
            panel.resize(patterns_[area].units * padded_columns(held_));
            transpose_patterns(patterns_[area], ids, panel.data());
        }
    }

    void compare_with_held(std::span<const std::uint32_t> candidates, std::span<float> x,
                           std::span<float> y) override
    {
        const std::size_t columns = padded_columns(held_);
        const std::array<std::span<float>, 2> results{x, y};
        ask_for(candidates);
        for (std::size_t area = 0; area < 2; ++area) {
            std::vector<float>& values = products_[area].values;
            values.resize(padded_rows_of_products(candidates.size()) * columns);
            multiply_with_panel(patterns_[area], candidates, products_[area].held_panel.data(),
                                columns, values.data());
            for (std::size_t at = 0; at < candidates.size(); ++at)
                std::copy_n(&values[at * columns], held_, &results[area][at * held_]);
        }
    }

private:
    /// Puts the first lines of patterns on their way; the rest of a row then comes by itself.
    void ask_for(std::span<const std::uint32_t> ids) const
    {
        for (const PatternRows& patterns : patterns_)
            for (const std::uint32_t id : ids)
                for (std::size_t line = 0; line < 2; ++line)
                    __builtin_prefetch(patterns.row(id) + line * floats_per_line);
    }

    std::array<PatternRows, 2> patterns_;
    std::array<Products, 2> products_;
    std::size_t held_ = 0;
};

}  // namespace

std::unique_ptr<PairSimilarity> from_factors(const PatternRows& first, const PatternRows& second)
{
    return std::make_unique<FactorPairs>(first, second);
}

}  // namespace twinscreen
