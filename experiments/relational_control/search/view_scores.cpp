#include "experiments/relational_control/search/view_scores.hpp"

#include <algorithm>

#include "kernels/set_score.hpp"

namespace twinscreen {

void prefetch_patterns(const PatternRows& patterns, std::span<const std::uint32_t> ids)
{
    constexpr std::size_t lines = 2, floats_per_line = 16;
    for (const std::uint32_t id : ids)
        for (std::size_t line = 0; line < lines; ++line)
            __builtin_prefetch(patterns.row(id) + line * floats_per_line);
}

void add_products(std::span<const float* const> products, std::span<const float> weights,
                  std::span<float> sum)
{
    for (std::size_t at = 0; at < sum.size(); ++at) sum[at] = weights[0] * products[0][at];
    for (std::size_t part = 1; part < products.size(); ++part)
        for (std::size_t at = 0; at < sum.size(); ++at)
            sum[at] += weights[part] * products[part][at];
}

ViewScores::ViewScores(std::vector<PatternRows> populations, const std::vector<Cell>& cells)
    : populations_(std::move(populations)),
      is_used_(populations_.size(), false),
      products_(populations_.size())
{
    for (const Cell& cell : cells) {
        const std::size_t first = mean_of(cell.first);
        cells_.emplace_back(first, mean_of(cell.second));
    }
    summed_.resize(means_.size());
}

std::size_t ViewScores::mean_of(const std::vector<Share>& shares)
{
    const auto found = std::ranges::find(means_, shares);
    const auto at = static_cast<std::size_t>(found - means_.begin());
    if (found == means_.end()) means_.push_back(shares);
    for (const Share& share : shares) is_used_[share.population] = true;
    return at;
}

void ViewScores::ask_for(std::span<const std::uint32_t> ids) const
{
    for (std::size_t at = 0; at < populations_.size(); ++at)
        if (is_used_[at]) prefetch_patterns(populations_[at], ids);
}

void ViewScores::multiply(std::span<const std::uint32_t> ids)
{
    const std::size_t columns = padded_columns(ids.size());
    const std::size_t values = padded_rows_of_products(ids.size()) * columns;
    panel_.resize(units_per_sum * columns);
    for (std::size_t at = 0; at < populations_.size(); ++at) {
        if (!is_used_[at]) continue;
        products_[at].resize(values);
        multiply_set(populations_[at], ids, panel_.data(), products_[at].data());
    }
    std::vector<const float*> products;
    std::vector<float> weights;
    for (std::size_t mean = 0; mean < means_.size(); ++mean) {
        products.clear();
        weights.clear();
        for (const Share& share : means_[mean]) {
            products.push_back(products_[share.population].data());
            weights.push_back(share.weight);
        }
        summed_[mean].resize(values);
        add_products(products, weights, summed_[mean]);
    }
}

void ViewScores::score_sets(std::span<const std::uint32_t> sets, std::uint32_t set_size,
                            std::span<double> scores)
{
    const auto stride = static_cast<std::uint32_t>(padded_columns(set_size));
    const double pairs = pair_count(set_size);
    for (std::size_t set = 0; set * set_size < sets.size(); ++set) {
        if ((set + 1) * set_size < sets.size())
            ask_for(sets.subspan((set + 1) * set_size, set_size));
        multiply(sets.subspan(set * set_size, set_size));
        for (std::size_t cell = 0; cell < cells_.size(); ++cell) {
            const PairSums sums = set_sums(summed_[cells_[cell].first].data(),
                                           summed_[cells_[cell].second].data(), set_size, stride);
            scores[set * cells_.size() + cell] = correlation(sums, pairs);
        }
    }
}

}  // namespace twinscreen
