#include <cmath>

#include "experiments/relational_control/maps/area_maps.hpp"

namespace twinscreen {
namespace {

constexpr std::size_t row_block = 2048;
constexpr std::size_t tile = 512;  // columns of patterns multiplied at a time

double dot(const float* a, const float* b, std::size_t count)
{
    double sum = 0.0;
    for (std::size_t at = 0; at < count; ++at)
        sum += static_cast<double>(a[at]) * static_cast<double>(b[at]);
    return sum;
}

FloatRows columns_of(const FloatRows& rows, std::size_t first)
{
    return {rows.first + first, rows.rows, std::min(tile, rows.width - first), rows.stride};
}

/// |A^T B|^2 of the patterns of two populations: the product of their similarities, summed over all
/// pairs of items in both orders and the pairs of an item with itself.
double product_of_similarities(const Patterns& patterns, const Population& a, const Population& b,
                               const std::function<void()>& check_stop)
{
    std::vector<float> room_a, room_b;
    double total = 0.0;
    for (std::size_t column_a = 0; column_a < a.units.size(); column_a += tile)
        for (std::size_t column_b = 0; column_b < b.units.size(); column_b += tile) {
            check_stop();
            std::vector<double> sums(std::min(tile, a.units.size() - column_a) *
                                     std::min(tile, b.units.size() - column_b));
            for (std::size_t row = 0; row < patterns.items(); row += row_block) {
                const std::size_t rows = std::min(row_block, patterns.items() - row);
                add_column_products(columns_of(patterns.rows(a, row, rows, room_a), column_a),
                                    columns_of(patterns.rows(b, row, rows, room_b), column_b),
                                    sums.data());
            }
            for (const double sum : sums) total += sum * sum;
        }
    return total;
}

}  // namespace

std::vector<double> similarity_distances(const Patterns& patterns, const Study& study,
                                         const SimilarityView& view,
                                         const std::function<void()>& check_stop)
{
    const std::size_t areas = study.areas.size();
    // products[a, b] = sum over all i, j of similarity a times similarity b; nothing of size
    // [items, items] is made. The diagonals, 1 in all areas, cancel in the differences.
    std::vector<double> products(areas * areas, 0.0);
    for (std::size_t a = 0; a < areas; ++a)
        for (std::size_t b = 0; b <= a; ++b) {
            for (const PopulationShare& of_a : view.areas[a])
                for (const PopulationShare& of_b : view.areas[b])
                    products[a * areas + b] +=
                        of_a.weight * of_b.weight *
                        product_of_similarities(patterns, study.populations[of_a.population],
                                                study.populations[of_b.population], check_stop);
            products[b * areas + a] = products[a * areas + b];
        }
    std::vector<double> squared(areas * areas, 0.0);
    for (std::size_t a = 0; a < areas; ++a)
        for (std::size_t b = 0; b < areas; ++b)
            if (a != b)
                squared[a * areas + b] =
                    std::max(0.5 * (products[a * areas + a] + products[b * areas + b] -
                                    2.0 * products[a * areas + b]),
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
