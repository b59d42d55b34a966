#include "experiments/relational_control/maps/area_maps.hpp"

#include <cmath>
#include <numeric>

#include "experiments/relational_control/columns.hpp"
#include "experiments/relational_control/maps/similarity_products.hpp"
#include "experiments/relational_control/maps/smacof.hpp"
#include "experiments/relational_control/multivariate/multivariate_search.hpp"
#include "experiments/relational_control/univariate/univariate_selection.hpp"

namespace twinscreen {

void AreaMaps::add_univariate(const StageHistory& history)
{
    responses_ = read_mean_responses(study_, history);
    means_.clear();
    for (std::size_t area = 0; area < study_.areas.size(); ++area)
        means_.push_back(training_response(responses_, study_, study_.folds.front(), area));
    comparisons_.push_back({"mean response", "all images", true, false, responses_.usable});
    for (std::size_t pair = 0; pair < study_.pairs.size(); ++pair) {
        const ControllingSets sets = read_controlling_sets(history, study_, pair, 0);
        for (std::size_t at = 0; at < control_conditions; ++at)
            comparisons_.push_back(
                {"mean response",
                 fmt::format("{}, {}", study_.pair_name(pair), condition_names[at]), true, true,
                 sets[at]});
    }
}

void AreaMaps::add_multivariate(const StageHistory& history)
{
    agreement_->open(history);
    products_ = read_similarity_products(history);
    comparisons_.push_back({"similarity", "all images", false, false, {}});
    for (std::size_t pair = 0; pair < study_.pairs.size(); ++pair)
        for (std::size_t at = 0; at < objectives.size(); ++at) {
            Comparison one{"similarity",
                           fmt::format("{}, {}", study_.pair_name(pair), objective_names[at]),
                           false, true, read_found_set(history, study_, pair, 0, at)};
            for (std::uint32_t& image : one.set) image = agreement_->item(image);
            comparisons_.push_back(std::move(one));
        }
}

StagePlan AreaMaps::plan(const CampaignInputs& inputs, const StageHistory& history)
{
    comparisons_.clear();
    if (settings_.univariate) add_univariate(history);
    if (agreement_ != nullptr) add_multivariate(history);
    StagePlan stage = plan_without_stimuli("maps");
    stage.plan.stage = stage_name;
    stage.plan.items = comparisons_.size();
    stage.plan.threads_per_rank = inputs.schedule.threads_per_rank;
    const Axis area = axis_of("area", study_.areas.size());
    stage.columns = {
        {"distance",
         Domain::item,
         ElementType::f64,
         {area, axis_of("other_area", study_.areas.size())},
         "",
         "Euclidean distance between the areas' features: mean responses to the images, or "
         "similarities of every two of them"},
        {"point",
         Domain::item,
         ElementType::f64,
         {area, {"axis", 2, ""}},
         "",
         "place of the area in a plane whose distances are near to these; up to rotation"},
        {"stress", Domain::item, ElementType::f64, {}, "", "sum of squared misfits of distances"}};
    stage.tables.axes = {{"areas", "area", study_.area_table()}};
    stage.tables.items = stage.plan.items;
    stage.tables.describe_items = [this](ItemRange items) {
        std::vector<std::string> features, images;
        for (std::uint64_t at = 0; at < items.count; ++at) {
            const Comparison& one = comparisons_[index_of(items.first) + at];
            features.push_back(one.features);
            images.push_back(one.images);
        }
        return Table{{{"features", "", std::move(features)}, {"images", "", std::move(images)}}};
    };
    stage.settings = {{"study", study_.digest()}};
    return stage;
}

std::vector<double> AreaMaps::response_distances(std::span<const std::uint32_t> images) const
{
    const std::size_t areas = study_.areas.size();
    std::vector<double> squared(areas * areas, 0.0);
    for (std::size_t a = 0; a < areas; ++a)
        for (std::size_t b = 0; b < areas; ++b)
            for (const std::uint32_t image : images) {
                const double apart =
                    static_cast<double>(means_[a][image]) - static_cast<double>(means_[b][image]);
                squared[a * areas + b] += apart * apart;
            }
    return squared;
}

std::vector<double> AreaMaps::distances(const Comparison& one) const
{
    if (one.is_univariate) return response_distances(one.set);
    const SimilarityView& view = agreement_->views().views[agreement_->views().train.front()];
    if (one.is_set)
        return similarity_distances_of_set(agreement_->patterns(), study_, view, one.set);
    return similarity_distances(view, products_);
}

void AreaMaps::run(const Shard& shard, ShardTools& tools)
{
    const auto item = static_cast<std::uint32_t>(index_of(shard.items.first));
    std::vector<double> apart = distances(comparisons_[item]);
    for (double& value : apart) value = std::sqrt(value);
    const std::int64_t areas = extent(study_.areas.size());
    const PlaneMap map = map_in_plane(apart, study_.areas.size(), tools.seed, item);
    tools.write(ColumnId{0}, batch_of(apart, {1, areas, areas}));
    tools.write(ColumnId{1}, batch_of(map.points, {1, areas, 2}));
    tools.write(ColumnId{2}, batch_of(std::array<double, 1>{map.stress}, {1}));
}

std::string AreaMaps::outlook() const
{
    return fmt::format("stage {}: maps of the areas, over all images and over each chosen set",
                       stage_name);
}

}  // namespace twinscreen
