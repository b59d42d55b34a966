#include <algorithm>
#include <array>
#include <vector>

#include "engine/base/error.hpp"
#include "experiments/relational_control/search/pair_similarity.hpp"
#include "experiments/relational_control/search/view_scores.hpp"

namespace twinscreen {
namespace {

constexpr std::size_t no_gain_beyond = 1;  // sets are scored one by one

/// One population and memory for its products.
struct Part {
    explicit Part(const WeightedPatterns& weighted)
        : patterns(weighted.rows), weight(weighted.weight)
    {
    }

    PatternRows patterns;
    float weight;
    std::vector<float> held_panel;
    std::vector<float> products;
};

/// The weighted sum over the populations of one area.
class AreaProducts {
public:
    explicit AreaProducts(const std::vector<WeightedPatterns>& populations)
    {
        for (const WeightedPatterns& population : populations) {
            const PatternRows& rows = population.rows;
            TWINSCREEN_REQUIRE(rows.units > 0 && rows.units <= rows.stride &&
                                   rows.items == populations.front().rows.items,
                               internal, "patterns of {} items, {} units, {} values apart",
                               rows.items, rows.units, rows.stride);
            parts_.emplace_back(population);
        }
        TWINSCREEN_REQUIRE(!parts_.empty(), internal, "an area without a population");
    }

    std::uint64_t items() const noexcept { return parts_.front().patterns.items; }

    /// Products of every two items of a set [rows of products, padded columns].
    const float* multiply(std::span<const std::uint32_t> ids)
    {
        const std::size_t columns = padded_columns(ids.size());
        panel_.resize(units_per_sum * columns);
        return sum_over_parts(padded_rows_of_products(ids.size()) * columns,
                              [&](const Part& part, float* products) {
                                  multiply_set(part.patterns, ids, panel_.data(), products);
                              });
    }

    void hold(std::span<const std::uint32_t> ids)
    {
        held_columns_ = padded_columns(ids.size());
        for (Part& part : parts_) {
            part.held_panel.resize(part.patterns.units * held_columns_);
            transpose_patterns(part.patterns, ids, part.held_panel.data());
        }
    }

    /// Products of items with those that are held [rows of products, padded columns].
    const float* multiply_with_held(std::span<const std::uint32_t> ids)
    {
        return sum_over_parts(padded_rows_of_products(ids.size()) * held_columns_,
                              [&](const Part& part, float* products) {
                                  multiply_with_panel(part.patterns, ids, part.held_panel.data(),
                                                      held_columns_, products);
                              });
    }

    void ask_for(std::span<const std::uint32_t> ids) const
    {
        for (const Part& part : parts_) prefetch_patterns(part.patterns, ids);
    }

private:
    template <class Multiply>
    const float* sum_over_parts(std::size_t values, const Multiply& multiply)
    {
        std::vector<const float*> products;
        std::vector<float> weights;
        for (Part& part : parts_) {
            part.products.resize(values);
            multiply(part, part.products.data());
            products.push_back(part.products.data());
            weights.push_back(part.weight);
        }
        if (parts_.size() == 1 && weights.front() == 1.0F) return products.front();
        sum_.resize(values);
        add_products(products, weights, sum_);
        return sum_.data();
    }

    std::vector<Part> parts_;
    std::vector<float> panel_;
    std::vector<float> sum_;
    std::size_t held_columns_ = 0;
};

class FactorPairs final : public PairSimilarity {
public:
    FactorPairs(const std::vector<WeightedPatterns>& first,
                const std::vector<WeightedPatterns>& second)
        : areas_{AreaProducts(first), AreaProducts(second)}
    {
        TWINSCREEN_REQUIRE(areas_[0].items() == areas_[1].items(), internal,
                           "patterns of {} and {} items", areas_[0].items(), areas_[1].items());
    }

    std::uint32_t items() const noexcept override
    {
        return static_cast<std::uint32_t>(areas_[0].items());
    }

    std::size_t sets_at_once(std::uint32_t) const noexcept override { return no_gain_beyond; }

    void score_sets(std::span<const std::uint32_t> sets, std::uint32_t set_size,
                    std::span<double> scores) override
    {
        const auto stride = static_cast<std::uint32_t>(padded_columns(set_size));
        for (std::size_t set = 0; set < scores.size(); ++set) {
            const auto ids = sets.subspan(set * set_size, set_size);
            if (set + 1 < scores.size()) ask_for(sets.subspan((set + 1) * set_size, set_size));
            const float* x = areas_[0].multiply(ids);
            const float* y = areas_[1].multiply(ids);
            scores[set] = correlation(set_sums(x, y, set_size, stride), pair_count(set_size));
        }
    }

    void hold(std::span<const std::uint32_t> ids) override
    {
        held_ = ids.size();
        for (AreaProducts& area : areas_) area.hold(ids);
    }

    void compare_with_held(std::span<const std::uint32_t> candidates, std::span<float> x,
                           std::span<float> y) override
    {
        const std::array<std::span<float>, 2> results{x, y};
        ask_for(candidates);
        for (std::size_t area = 0; area < 2; ++area) {
            const float* products = areas_[area].multiply_with_held(candidates);
            for (std::size_t at = 0; at < candidates.size(); ++at)
                std::copy_n(products + at * padded_columns(held_), held_,
                            &results[area][at * held_]);
        }
    }

private:
    void ask_for(std::span<const std::uint32_t> ids) const
    {
        for (const AreaProducts& area : areas_) area.ask_for(ids);
    }

    std::array<AreaProducts, 2> areas_;
    std::size_t held_ = 0;
};

}  // namespace

std::unique_ptr<PairSimilarity> from_factors(const std::vector<WeightedPatterns>& first,
                                             const std::vector<WeightedPatterns>& second)
{
    return std::make_unique<FactorPairs>(first, second);
}

std::unique_ptr<PairSimilarity> from_factors(const PatternRows& first, const PatternRows& second)
{
    return from_factors(std::vector<WeightedPatterns>{{first, 1.0F}}, {{second, 1.0F}});
}

}  // namespace twinscreen
