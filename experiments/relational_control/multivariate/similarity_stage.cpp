#include "experiments/relational_control/multivariate/similarity_stage.hpp"

#include <algorithm>
#include <limits>

#include "engine/base/digest.hpp"
#include "engine/config/csv.hpp"
#include "engine/run/progress.hpp"
#include "experiments/relational_control/columns.hpp"

namespace twinscreen {
namespace {

constexpr std::size_t column_block = 1024;

std::uint64_t rows_of_shard(std::size_t row_bytes)
{
    constexpr std::size_t shard_bytes = std::size_t{128} << 20U;
    return std::clamp<std::uint64_t>(shard_bytes / row_bytes, 16, 256);
}

/// Where a block of products belongs in a view [rows, items, areas].
struct BlockPlace {
    std::size_t rows = 0;
    std::size_t items = 0;
    std::size_t areas = 0;
    std::size_t area = 0;
    std::size_t first_column = 0;
    std::size_t columns = 0;
};

/// is_first  nothing stands there yet
void add_block(std::span<float> view, const std::vector<float>& products, double weight,
               const BlockPlace& place, bool is_first)
{
    const auto share = static_cast<float>(weight);
    for (std::size_t row = 0; row < place.rows; ++row) {
        float* to =
            view.data() + (row * place.items + place.first_column) * place.areas + place.area;
        const float* from = products.data() + row * place.columns;
        if (is_first)
            for (std::size_t column = 0; column < place.columns; ++column)
                to[column * place.areas] = share * from[column];
        else
            for (std::size_t column = 0; column < place.columns; ++column)
                to[column * place.areas] += share * from[column];
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

void SimilarityStage::run(const Shard& shard, ShardTools& tools)
{
    const std::size_t items = patterns_.items(), areas = study_.areas.size();
    const std::size_t first = index_of(shard.items.first), rows = shard.items.count;
    std::vector<OwnedBatch> views;
    for (std::size_t view = 0; view < views_.views.size(); ++view)
        views.emplace_back(ElementType::f32, Shape{extent(rows), extent(items), extent(areas)});
    std::vector<std::vector<float>> row_rooms(study_.populations.size());
    std::vector<FloatRows> mine;
    for (std::size_t at = 0; at < study_.populations.size(); ++at)
        mine.push_back(patterns_.rows(study_.populations[at], first, rows, row_rooms[at]));
    std::vector<float> column_room, products(rows * column_block);
    // All populations of a block of columns at once: their values lie side by side.
    for (std::size_t column = 0; column < first + rows; column += column_block) {
        const std::size_t count = std::min(column_block, first + rows - column);
        for (std::size_t at = 0; at < study_.populations.size(); ++at) {
            tools.check_stop();
            const Population& population = study_.populations[at];
            row_products(mine[at], patterns_.rows(population, column, count, column_room),
                         products.data());
            for (std::size_t view = 0; view < views.size(); ++view) {
                const auto& shares = views_.views[view].areas[population.area];
                const auto share = std::ranges::find(shares, at, &PopulationShare::population);
                if (share == shares.end()) continue;
                const bool is_first = std::ranges::none_of(
                    shares, [&](const auto& other) { return other.population < at; });
                add_block(views[view].values<float>(), products, share->weight,
                          {rows, items, areas, population.area, column, count}, is_first);
            }
        }
    }
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

std::string SimilarityStage::outlook() const
{
    return fmt::format("stage {}: every two images, {} view{} of {} areas", stage_name,
                       views_.views.size(), views_.views.size() == 1 ? "" : "s",
                       study_.areas.size());
}

}  // namespace twinscreen
