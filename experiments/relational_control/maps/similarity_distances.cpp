#include <algorithm>

#include "experiments/relational_control/maps/similarity_products.hpp"

namespace twinscreen {
namespace {

double dot(const float* a, const float* b, std::size_t count)
{
    double sum = 0.0;
    for (std::size_t at = 0; at < count; ++at)
        sum += static_cast<double>(a[at]) * static_cast<double>(b[at]);
    return sum;
}

}  // namespace

std::vector<PopulationPair> pairs_to_multiply(const SimilarityView& view)
{
    std::vector<std::size_t> populations;
    for (const auto& shares : view.areas)
        for (const PopulationShare& share : shares) populations.push_back(share.population);
    std::ranges::sort(populations);
    populations.erase(std::unique(populations.begin(), populations.end()), populations.end());
    std::vector<PopulationPair> pairs;
    for (std::size_t first = 0; first < populations.size(); ++first)
        for (std::size_t second = first; second < populations.size(); ++second)
            pairs.emplace_back(populations[first], populations[second]);
    return pairs;
}

std::vector<double> similarity_distances(const SimilarityView& view,
                                         const std::vector<double>& products)
{
    const std::vector<PopulationPair> pairs = pairs_to_multiply(view);
    const auto product_of = [&](std::size_t a, std::size_t b) {
        const auto at = std::ranges::lower_bound(pairs, PopulationPair(std::minmax(a, b)));
        return products[static_cast<std::size_t>(at - pairs.begin())];
    };
    const std::size_t areas = view.areas.size();
    // shared[a, b] = sum over all i, j of similarity a times similarity b; nothing of size
    // [items, items] is made. The diagonals, 1 in all areas, cancel in the differences.
    std::vector<double> shared(areas * areas, 0.0);
    for (std::size_t a = 0; a < areas; ++a)
        for (std::size_t b = 0; b <= a; ++b) {
            for (const PopulationShare& of_a : view.areas[a])
                for (const PopulationShare& of_b : view.areas[b])
                    shared[a * areas + b] +=
                        of_a.weight * of_b.weight * product_of(of_a.population, of_b.population);
            shared[b * areas + a] = shared[a * areas + b];
        }
    std::vector<double> squared(areas * areas, 0.0);
    for (std::size_t a = 0; a < areas; ++a)
        for (std::size_t b = 0; b < areas; ++b)
            if (a != b)
                squared[a * areas + b] =
                    std::max(0.5 * (shared[a * areas + a] + shared[b * areas + b] -
                                    2.0 * shared[a * areas + b]),
                             0.0);
    return squared;
}

std::vector<double> similarity_distances_of_set(const Patterns& patterns, const Study& study,
                                                const SimilarityView& view,
                                                std::span<const std::uint32_t> items)
{
    const std::size_t areas = study.areas.size();
    std::vector<double> squared(areas * areas, 0.0);
    std::vector<float> room_i, room_j;
    std::vector<double> similarity(areas);
    for (std::size_t i = 0; i < items.size(); ++i)
        for (std::size_t j = 0; j < i; ++j) {
            for (std::size_t area = 0; area < areas; ++area) {
                similarity[area] = 0.0;
                for (const PopulationShare& share : view.areas[area]) {
                    const Population& population = study.populations[share.population];
                    similarity[area] +=
                        share.weight * dot(patterns.rows(population, items[i], 1, room_i).first,
                                           patterns.rows(population, items[j], 1, room_j).first,
                                           population.units.size());
                }
            }
            for (std::size_t a = 0; a < areas; ++a)
                for (std::size_t b = 0; b < areas; ++b) {
                    const double apart = similarity[a] - similarity[b];
                    squared[a * areas + b] += apart * apart;
                }
        }
    return squared;
}

}  // namespace twinscreen
