#include "experiments/relational_control/univariate/univariate_baseline.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "engine/run/progress.hpp"
#include "experiments/relational_control/columns.hpp"
#include "kernels/draw_means.hpp"
#include "kernels/set_draw.hpp"

namespace twinscreen {
namespace {

constexpr std::uint64_t shard_draws = 8192;
constexpr std::uint64_t read_rows = std::uint64_t{1} << 16U;
constexpr ColumnId image_column{1};
constexpr ColumnId train_column{2};
constexpr ColumnId test_column{3};

/// The images of one draw, ascending.
class SetDraw {
public:
    SetDraw(const MeanResponses& responses, std::uint32_t count, std::uint64_t seed)
        : usable_(responses.usable), seed_(seed), images_(count), scratch_(2 * std::size_t{count})
    {
    }
    std::span<const std::uint32_t> at(std::uint64_t draw)
    {
        DrawWords words({seed_, DrawStream::null_draw, draw, 0});
        draw_set(words, static_cast<std::uint32_t>(usable_.size()),
                 static_cast<std::uint32_t>(images_.size()), images_.data(), scratch_.data());
        for (std::uint32_t& image : images_) image = usable_[image];
        return images_;
    }

private:
    const std::vector<std::uint32_t>& usable_;
    std::uint64_t seed_;
    std::vector<std::uint32_t> images_;
    std::vector<std::uint32_t> scratch_;
};

/// Training response of a fold in an area, from one row of responses of all populations.
double trained(const Study& study, const Fold& fold, std::size_t area, const float* row)
{
    double sum = 0.0;
    for (const std::size_t subject : fold.train)
        sum += static_cast<double>(row[study.population(subject, area)]);
    return sum / static_cast<double>(fold.train.size());
}

}  // namespace

StagePlan UnivariateBaseline::plan(const CampaignInputs& inputs, const StageHistory& history)
{
    seed_ = inputs.seed;
    responses_ = read_mean_responses(study_, history);
    StagePlan stage = plan_without_stimuli("random sets");
    stage.plan.stage = stage_name;
    stage.plan.items = settings_.draws;
    stage.plan.shard_items = shard_draws;
    stage.plan.threads_per_rank = inputs.schedule.threads_per_rank;
    TWINSCREEN_REQUIRE(
        responses_.usable.size() >= settings_.images, data,
        "{} of {} images have a mean response of every population, and a set takes {}; {}",
        responses_.usable.size(), responses_.images(), settings_.images,
        responses_.missing.worst(study_));

    const Axis fold = axis_of("fold", study_.folds.size());
    const Axis area = axis_of("area", study_.areas.size());
    const Axis rank = axis_of("rank", settings_.images);
    stage.columns = {
        {"mean_response",
         Domain::item,
         ElementType::f32,
         {axis_of("population", study_.populations.size())},
         "",
         "mean over the images of a random set"},
        {"baseline_image",
         Domain::stage,
         ElementType::i64,
         {fold, area, rank},
         "",
         "the random set whose training response is nearest to the mean over all sets"},
        {"baseline_train",
         Domain::stage,
         ElementType::f64,
         {fold, area},
         "",
         "its mean response, averaged over the training subjects"},
        {"baseline_test",
         Domain::stage,
         ElementType::f64,
         {fold, area},
         "",
         "its mean response in the test subject; NaN without one"},
        {"mean_over_sets",
         Domain::stage,
         ElementType::f64,
         {fold, area},
         "",
         "mean training response over all random sets"},
    };
    stage.tables.axes = {{"populations", "population", study_.population_table()},
                         {"folds", "fold", study_.fold_table()},
                         {"areas", "area", study_.area_table()}};
    stage.tables.items = stage.plan.items;
    stage.tables.describe_items = number_items("draw");
    stage.settings = {{"study", study_.digest()},
                      {"images of a set", std::to_string(settings_.images)}};
    return stage;
}

void UnivariateBaseline::run(const Shard& shard, ShardTools& tools)
{
    SetDraw sets(responses_, settings_.images, seed_);
    OwnedBatch means(ElementType::f32, {extent(shard.items.count), extent(responses_.populations)});
    std::vector<double> row(responses_.populations);
    for (std::uint64_t at = 0; at < shard.items.count; ++at) {
        draw_means(responses_.values, sets.at(index_of(shard.items.first) + at),
                   extent(settings_.images), extent(responses_.populations), row);
        std::ranges::transform(row,
                               means.values<float>().begin() + extent(at * responses_.populations),
                               [](double mean) { return static_cast<float>(mean); });
        if (at % 16 == 0) tools.check_stop();
    }
    tools.write(ColumnId{0}, std::move(means));
}

SummaryRows UnivariateBaseline::combine(const StageResults& results)
{
    const std::size_t folds = study_.folds.size(), areas = study_.areas.size();
    const std::uint64_t draws = results.plan().items;
    const auto each_row = [&](const auto& visit) {
        for (std::uint64_t first = 0; first < draws; first += read_rows) {
            results.check_stop();
            const OwnedBatch rows =
                results.read(ColumnId{0}, first, std::min(read_rows, draws - first));
            const auto values = rows.values<float>();
            for (std::size_t at = 0; at < values.size() / responses_.populations; ++at)
                visit(first + at, values.data() + at * responses_.populations);
        }
    };
    const auto each_cell = [&](const float* row, const auto& visit) {
        for (std::size_t fold = 0; fold < folds; ++fold)
            for (std::size_t area = 0; area < areas; ++area)
                visit(fold * areas + area, trained(study_, study_.folds[fold], area, row));
    };
    std::vector<double> mean(folds * areas, 0.0);
    each_row([&](std::uint64_t, const float* row) {
        each_cell(row, [&](std::size_t cell, double value) { mean[cell] += value; });
    });
    for (double& value : mean) value /= static_cast<double>(draws);

    std::vector<double> distance(folds * areas, std::numeric_limits<double>::infinity());
    std::vector<std::uint64_t> nearest(folds * areas, 0);
    each_row([&](std::uint64_t draw, const float* row) {
        each_cell(row, [&](std::size_t cell, double value) {
            if (std::abs(value - mean[cell]) >= distance[cell]) return;
            distance[cell] = std::abs(value - mean[cell]);
            nearest[cell] = draw;
        });
    });
    return summarise(results, mean, nearest);
}

SummaryRows UnivariateBaseline::summarise(const StageResults& results,
                                          const std::vector<double>& mean,
                                          const std::vector<std::uint64_t>& nearest) const
{
    const std::size_t folds = study_.folds.size(), areas = study_.areas.size();
    const Shape cells{extent(folds), extent(areas)};
    OwnedBatch images(ElementType::i64, {extent(folds), extent(areas), extent(settings_.images)});
    OwnedBatch train(ElementType::f64, cells), test(ElementType::f64, cells),
        over_sets(ElementType::f64, cells);
    std::ranges::copy(mean, over_sets.values<double>().begin());
    SetDraw sets(responses_, settings_.images, seed_);
    for (std::size_t cell = 0; cell < nearest.size(); ++cell) {
        const Fold& fold = study_.folds[cell / areas];
        const std::size_t area = cell % areas;
        std::ranges::copy(sets.at(nearest[cell]), images.values<std::int64_t>().begin() +
                                                      extent(cell * std::size_t{settings_.images}));
        const OwnedBatch row = results.read(ColumnId{0}, nearest[cell], 1);
        train.values<double>()[cell] = trained(study_, fold, area, row.values<float>().data());
        test.values<double>()[cell] =
            fold.test
                ? static_cast<double>(row.values<float>()[study_.population(*fold.test, area)])
                : std::numeric_limits<double>::quiet_NaN();
    }
    SummaryRows summary;
    summary.emplace_back(image_column, std::move(images));
    summary.emplace_back(train_column, std::move(train));
    summary.emplace_back(test_column, std::move(test));
    summary.emplace_back(ColumnId{4}, std::move(over_sets));
    return summary;
}

std::string UnivariateBaseline::outlook() const
{
    return fmt::format("stage {}: {} random sets of {} images", stage_name,
                       count_text(settings_.draws), settings_.images);
}

UnivariateBaselineSets read_univariate_baseline(const Study& study, const StageHistory& history)
{
    UnivariateBaselineSets sets;
    sets.areas = study.areas.size();
    const OwnedBatch images = history.read(UnivariateBaseline::stage_name, image_column, 0, 1);
    for (const std::int64_t image : images.values<std::int64_t>())
        sets.images.push_back(static_cast<std::uint32_t>(image));
    const OwnedBatch train = history.read(UnivariateBaseline::stage_name, train_column, 0, 1);
    sets.train.assign(train.values<double>().begin(), train.values<double>().end());
    const OwnedBatch test = history.read(UnivariateBaseline::stage_name, test_column, 0, 1);
    sets.test.assign(test.values<double>().begin(), test.values<double>().end());
    return sets;
}

}  // namespace twinscreen
