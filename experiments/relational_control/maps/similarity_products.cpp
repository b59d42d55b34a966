#include "experiments/relational_control/maps/similarity_products.hpp"

#include <algorithm>

#include "engine/run/progress.hpp"
#include "experiments/relational_control/columns.hpp"

namespace twinscreen {
namespace {

constexpr std::size_t row_block = 2048;
constexpr std::size_t tile = 512;  // columns of patterns multiplied at a time
constexpr ColumnId product_column{0};

FloatRows columns_of(const FloatRows& rows, std::size_t first)
{
    return {rows.first + first, rows.rows, std::min(tile, rows.width - first), rows.stride};
}

/// |A^T B|^2 of the patterns of two populations: the product of their similarities, summed over all
/// pairs of items in both orders and the pairs of an item with itself. Of a population with itself
/// the tiles beside the diagonal count twice.
double product_of_similarities(const Patterns& patterns, const Population& a, const Population& b,
                               const std::function<void()>& check_stop)
{
    const bool is_same = &a == &b;
    std::vector<float> room_a, room_b;
    double total = 0.0;
    for (std::size_t column_a = 0; column_a < a.units.size(); column_a += tile)
        for (std::size_t column_b = is_same ? column_a : 0; column_b < b.units.size();
             column_b += tile) {
            check_stop();
            std::vector<double> sums(std::min(tile, a.units.size() - column_a) *
                                     std::min(tile, b.units.size() - column_b));
            for (std::size_t row = 0; row < patterns.items(); row += row_block) {
                const std::size_t rows = std::min(row_block, patterns.items() - row);
                add_column_products(columns_of(patterns.rows(a, row, rows, room_a), column_a),
                                    columns_of(patterns.rows(b, row, rows, room_b), column_b),
                                    sums.data());
            }
            double squares = 0.0;
            for (const double sum : sums) squares += sum * sum;
            total += is_same && column_b != column_a ? 2.0 * squares : squares;
        }
    return total;
}

}  // namespace

StagePlan SimilarityProducts::plan(const CampaignInputs& inputs, const StageHistory& history)
{
    patterns_ = read_patterns(study_, history);
    pairs_ = pairs_to_multiply(view_);
    StagePlan stage = plan_without_stimuli("pairs of populations");
    stage.plan.stage = stage_name;
    stage.plan.items = pairs_.size();
    stage.plan.threads_per_rank = inputs.schedule.threads_per_rank;
    const auto units = [&](std::size_t population) {
        return static_cast<float>(study_.populations[population].units.size());
    };
    for (const auto& [first, second] : pairs_)
        stage.plan.relative_cost.push_back(units(first) * units(second) *
                                           (first == second ? 0.5F : 1.0F));
    stage.columns = {{"product",
                      Domain::item,
                      ElementType::f64,
                      {},
                      "",
                      "similarity in one population times similarity in the other, summed over "
                      "every two images in both orders and every image with itself"}};
    stage.tables.axes = {{"populations", "population", study_.population_table()}};
    stage.tables.items = stage.plan.items;
    stage.tables.describe_items = [this](ItemRange items) {
        std::vector<std::int64_t> first, second;
        for (std::uint64_t at = 0; at < items.count; ++at) {
            const PopulationPair& pair = pairs_[index_of(items.first) + at];
            first.push_back(extent(pair.first));
            second.push_back(extent(pair.second));
        }
        return Table{
            {{"population", "", std::move(first)}, {"other_population", "", std::move(second)}}};
    };
    stage.settings = {{"study", study_.digest()}};
    return stage;
}

void SimilarityProducts::run(const Shard& shard, ShardTools& tools)
{
    const PopulationPair& pair = pairs_[index_of(shard.items.first)];
    const std::array<double, 1> product{
        product_of_similarities(patterns_, study_.populations[pair.first],
                                study_.populations[pair.second], tools.check_stop)};
    tools.write(product_column, batch_of(product, {1}));
}

std::string SimilarityProducts::outlook() const
{
    return fmt::format("stage {}: {} pairs of populations", stage_name,
                       count_text(pairs_to_multiply(view_).size()));
}

std::vector<double> read_similarity_products(const StageHistory& history)
{
    return numbers_of(history.read(SimilarityProducts::stage_name, product_column, 0,
                                   history.items(SimilarityProducts::stage_name)));
}

}  // namespace twinscreen
