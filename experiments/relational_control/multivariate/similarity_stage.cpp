#include "experiments/relational_control/multivariate/similarity_stage.hpp"

#include <algorithm>
#include <limits>

#include "engine/base/digest.hpp"
#include "engine/config/csv.hpp"
#include "engine/run/progress.hpp"
#include "experiments/relational_control/columns.hpp"
#include "experiments/relational_control/multivariate/device_similarity.hpp"

namespace twinscreen {
namespace {

constexpr std::size_t column_block = 1024;

std::uint64_t rows_of_shard(std::size_t row_bytes)
{
    constexpr std::size_t shard_bytes = std::size_t{128} << 20U;
    return std::clamp<std::uint64_t>(shard_bytes / row_bytes, 16, 256);
}

/// Products of some rows with a block of columns, in every population.
struct ProductBlock {
    std::size_t rows = 0;
    std::size_t first_column = 0;
    std::size_t columns = 0;
    std::vector<std::vector<float>> products;  ///< [populations][rows, columns]
};

/// Writes a block into `values` of a view [rows, items, areas], a row of all areas at a time: what
/// lies side by side is written while it is in the cache.
void write_block(const SimilarityView& view, const ProductBlock& block, std::size_t items,
                 std::span<float> values)
{
    const std::size_t areas = view.areas.size();
    for (std::size_t row = 0; row < block.rows; ++row)
        for (std::size_t area = 0; area < areas; ++area) {
            float* to = values.data() + (row * items + block.first_column) * areas + area;
            for (const PopulationShare& part : view.areas[area]) {
                const auto share = static_cast<float>(part.weight);
                const float* from = block.products[part.population].data() + row * block.columns;
                if (&part == view.areas[area].data())
                    for (std::size_t column = 0; column < block.columns; ++column)
                        to[column * areas] = share * from[column];
                else
                    for (std::size_t column = 0; column < block.columns; ++column)
                        to[column * areas] += share * from[column];
            }
        }
}

}  // namespace

StagePlan SimilarityStage::plan(const CampaignInputs& inputs, const StageHistory& history)
{
    patterns_ = read_patterns(study_, history);
    require_items_for(search_, patterns_, study_);
    const std::size_t items = patterns_.items();
    StagePlan stage = plan_without_stimuli("images");
    stage.plan.stage = stage_name;
    stage.plan.items = items;
    stage.plan.threads_per_rank = inputs.schedule.threads_per_rank;
    for (std::size_t view = 0; view < views_.views.size(); ++view)
        stage.columns.push_back({fmt::format("similarity_{}", view),
                                 Domain::item,
                                 ElementType::f32,
                                 {axis_of("other", items), axis_of("area", study_.areas.size())},
                                 "",
                                 "Pearson correlation of patterns, mean over the view's "
                                 "populations; NaN where other >= item"});
    stage.plan.shard_items = rows_of_shard(views_.views.size() * stage.columns[0].row_bytes());
    shard_items_ = stage.plan.shard_items;
    for (std::uint64_t shard = 0; shard < stage.plan.shards(); ++shard)
        stage.plan.relative_cost.push_back(static_cast<float>(shard + 1));
    stage.tables.axes = {{"areas", "area", study_.area_table()},
                         {"views", "view", views_.table(study_)}};
    stage.tables.items = items;
    stage.tables.describe_items = [this](ItemRange range) {
        const auto first =
            patterns_.images.begin() + static_cast<std::ptrdiff_t>(index_of(range.first));
        return Table{
            {{"image", "", std::vector<std::int64_t>(first, first + extent(range.count))}}};
    };
    stage.settings = {{"populations", study_.population_digest()},
                      {"views", Digest{}.add(csv_text(views_.table(study_))).hex()}};
    return stage;
}

void SimilarityStage::begin(Communicator& communicator, Executor& executor)
{
    bring_patterns(communicator, executor, study_, patterns_, views_, shard_items_);
}

void SimilarityStage::run(const Shard& shard, ShardTools& tools)
{
    const std::size_t items = patterns_.items(), areas = study_.areas.size();
    const std::size_t first = index_of(shard.items.first), rows = shard.items.count;
    std::vector<OwnedBatch> views;
    for (std::size_t view = 0; view < views_.views.size(); ++view)
        views.emplace_back(ElementType::f32, Shape{extent(rows), extent(items), extent(areas)});
    const ItemRange range{ItemId{first}, rows};
    if (!similarities_on(tools.executor, study_, patterns_, views_, range, views))
        compute_here(range, tools.check_stop, views);
    constexpr float nan = std::numeric_limits<float>::quiet_NaN();
    for (std::size_t view = 0; view < views.size(); ++view) {
        const auto values = views[view].values<float>();
        for (std::size_t row = 0; row < rows; ++row)
            std::ranges::fill(
                values.subspan((row * items + first + row) * areas, (items - first - row) * areas),
                nan);
        tools.write(ColumnId{static_cast<std::uint32_t>(view)}, std::move(views[view]));
    }
}

void SimilarityStage::compute_here(ItemRange range, const std::function<void()>& check_stop,
                                   std::vector<OwnedBatch>& views) const
{
    const std::size_t items = patterns_.items();
    const std::size_t first = index_of(range.first), rows = range.count;
    std::vector<std::vector<float>> row_rooms(study_.populations.size());
    std::vector<FloatRows> mine;
    for (std::size_t at = 0; at < study_.populations.size(); ++at)
        mine.push_back(patterns_.rows(study_.populations[at], first, rows, row_rooms[at]));
    std::vector<float> column_room;
    ProductBlock block{.rows = rows,
                       .products = std::vector(study_.populations.size(),
                                               std::vector<float>(rows * column_block))};
    for (std::size_t column = 0; column < first + rows; column += column_block) {
        block.first_column = column;
        block.columns = std::min(column_block, first + rows - column);
        for (std::size_t at = 0; at < study_.populations.size(); ++at) {
            check_stop();
            row_products(mine[at],
                         patterns_.rows(study_.populations[at], column, block.columns, column_room),
                         block.products[at].data());
        }
        for (std::size_t view = 0; view < views.size(); ++view)
            write_block(views_.views[view], block, items, views[view].values<float>());
    }
}

std::string SimilarityStage::outlook() const
{
    return fmt::format("stage {}: every two images, {} view{} of {} areas", stage_name,
                       views_.views.size(), views_.views.size() == 1 ? "" : "s",
                       study_.areas.size());
}

}  // namespace twinscreen
