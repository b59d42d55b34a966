#include "experiments/relational_control/multivariate/multivariate_baseline.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "engine/run/progress.hpp"
#include "experiments/relational_control/columns.hpp"
#include "kernels/set_draw.hpp"

namespace twinscreen {
namespace {

constexpr std::uint64_t shard_draws = 2048;
constexpr std::uint64_t sets_between_stops = 64;
constexpr std::uint64_t read_draws = std::uint64_t{1} << 16U;
constexpr double nan = std::numeric_limits<double>::quiet_NaN();
constexpr ColumnId agreement_column{0};
constexpr ColumnId image_column{1};
constexpr ColumnId train_column{2};
constexpr ColumnId test_column{3};
constexpr ColumnId mean_column{4};

}  // namespace

StagePlan MultivariateBaseline::plan(const CampaignInputs& inputs, const StageHistory& history)
{
    seed_ = inputs.seed;
    require_items_for(settings_.search, read_patterns(study_, history), study_);
    agreement_.open(history);
    StagePlan stage = plan_without_stimuli("random sets");
    stage.plan.stage = stage_name;
    stage.plan.items = settings_.draws;
    stage.plan.shard_items = shard_draws;
    stage.plan.threads_per_rank = inputs.schedule.threads_per_rank;
    const Axis pair = axis_of("pair", study_.pairs.size());
    const Axis fold = axis_of("fold", study_.folds.size());
    stage.columns = {
        {"agreement",
         Domain::item,
         ElementType::f32,
         {axis_of("view", views()), pair},
         "",
         "Pearson correlation of the similarities of two areas over the pairs of a random set"},
        {"baseline_image",
         Domain::stage,
         ElementType::i64,
         {pair, fold, axis_of("member", settings_.images)},
         "",
         "the random set whose training agreement is nearest to the mean over all sets"},
        {"baseline_train",
         Domain::stage,
         ElementType::f64,
         {pair, fold},
         "",
         "its agreement in the training subjects"},
        {"baseline_test",
         Domain::stage,
         ElementType::f64,
         {pair, fold},
         "",
         "its agreement in the test subject; NaN without one"},
        {"mean_over_sets",
         Domain::stage,
         ElementType::f64,
         {pair, fold},
         "",
         "mean training agreement over all random sets"},
    };
    stage.tables.axes = {{"views", "view", agreement_.views().table(study_)},
                         {"pairs", "pair", study_.pair_table()},
                         {"folds", "fold", study_.fold_table()}};
    stage.tables.items = stage.plan.items;
    stage.tables.describe_items = number_items("draw");
    stage.settings = {{"study", study_.digest()},
                      {"images of a set", std::to_string(settings_.images)}};
    return stage;
}

/// Items of consecutive draws [draws, images of a set].
std::vector<std::uint32_t> MultivariateBaseline::draw(std::uint64_t first,
                                                      std::uint64_t count) const
{
    std::vector<std::uint32_t> sets(count * settings_.images);
    std::vector<std::uint32_t> scratch(2 * std::size_t{settings_.images});
    for (std::uint64_t at = 0; at < count; ++at) {
        DrawWords words({seed_, DrawStream::null_draw, first + at, 0});
        draw_set(words, static_cast<std::uint32_t>(agreement_.items()), settings_.images,
                 sets.data() + at * settings_.images, scratch.data());
    }
    return sets;
}

void MultivariateBaseline::run(const Shard& shard, ShardTools& tools)
{
    const std::uint64_t count = shard.items.count;
    const std::vector<std::uint32_t> sets = draw(index_of(shard.items.first), count);
    const std::size_t pairs = study_.pairs.size(), cells = views() * pairs;
    OwnedBatch out(ElementType::f32, {extent(count), extent(views()), extent(pairs)});
    const std::uint64_t at_once =
        agreement_.form() == SimilarityForm::stored ? count : sets_between_stops;
    std::vector<double> scores(at_once * cells);
    for (std::uint64_t first = 0; first < count; first += at_once) {
        tools.check_stop();
        const std::uint64_t part = std::min(at_once, count - first);
        const std::span<double> of_part = std::span(scores).first(part * cells);
        agreement_.score_all(
            std::span(sets).subspan(first * settings_.images, part * settings_.images),
            settings_.images, of_part);
        std::ranges::transform(of_part, out.values<float>().begin() + extent(first * cells),
                               [](double score) { return static_cast<float>(score); });
    }
    tools.write(agreement_column, std::move(out));
}

template <class Visit>
void MultivariateBaseline::each_draw(const StageResults& results, const Visit& visit) const
{
    const std::size_t cells = views() * study_.pairs.size();
    for (std::uint64_t first = 0; first < results.plan().items; first += read_draws) {
        results.check_stop();
        const std::uint64_t count = std::min(read_draws, results.plan().items - first);
        const OwnedBatch rows = results.read(agreement_column, first, count);
        for (std::uint64_t at = 0; at < count; ++at)
            visit(first + at, rows.values<float>().data() + at * cells);
    }
}

SummaryRows MultivariateBaseline::combine(const StageResults& results)
{
    const std::size_t pairs = study_.pairs.size(), folds = study_.folds.size();
    const SimilarityViews& all = agreement_.views();
    const auto trained = [&](const float* row, std::size_t cell) {
        return static_cast<double>(row[all.train[cell % folds] * pairs + cell / folds]);
    };
    // A set about which an area does not vary has no agreement and stands for nothing.
    std::vector<double> mean(pairs * folds, 0.0), counted(pairs * folds, 0.0);
    each_draw(results, [&](std::uint64_t, const float* row) {
        for (std::size_t cell = 0; cell < mean.size(); ++cell) {
            const double value = trained(row, cell);
            if (std::isnan(value)) continue;
            mean[cell] += value;
            counted[cell] += 1.0;
        }
    });
    for (std::size_t cell = 0; cell < mean.size(); ++cell) mean[cell] /= counted[cell];

    std::vector<double> distance(mean.size(), std::numeric_limits<double>::infinity());
    std::vector<std::uint64_t> nearest(mean.size(), 0);
    std::vector<double> train(mean.size(), nan), test(mean.size(), nan);
    each_draw(results, [&](std::uint64_t draw, const float* row) {
        for (std::size_t cell = 0; cell < mean.size(); ++cell) {
            const double value = trained(row, cell);
            if (!(std::abs(value - mean[cell]) < distance[cell])) continue;
            distance[cell] = std::abs(value - mean[cell]);
            nearest[cell] = draw;
            train[cell] = value;
            const std::size_t fold = cell % folds;
            if (study_.folds[fold].test)
                test[cell] = static_cast<double>(row[all.test[fold] * pairs + cell / folds]);
        }
    });

    const Shape cells{extent(pairs), extent(folds)};
    OwnedBatch images(ElementType::i64, {extent(pairs), extent(folds), extent(settings_.images)});
    auto to = images.values<std::int64_t>().begin();
    for (const std::uint64_t one : nearest)
        for (const std::uint32_t item : draw(one, 1)) *to++ = agreement_.image(item);
    SummaryRows summary;
    summary.emplace_back(image_column, std::move(images));
    summary.emplace_back(train_column, batch_of(train, cells));
    summary.emplace_back(test_column, batch_of(test, cells));
    summary.emplace_back(mean_column, batch_of(mean, cells));
    return summary;
}

std::string MultivariateBaseline::outlook() const
{
    return fmt::format("stage {}: {} random sets of {} images, {} pairs through {} views",
                       stage_name, count_text(settings_.draws), settings_.images,
                       study_.pairs.size(), views());
}

const float* read_null_agreement(const StageHistory& history)
{
    return static_cast<const float*>(
        history.map(MultivariateBaseline::stage_name, agreement_column).data);
}

MultivariateBaselineSets read_multivariate_baseline(const StageHistory& history)
{
    MultivariateBaselineSets sets;
    const auto read = [&](ColumnId column) {
        return history.read(MultivariateBaseline::stage_name, column, 0, 1);
    };
    const OwnedBatch images = read(image_column);
    for (const std::int64_t image : images.values<std::int64_t>())
        sets.images.push_back(static_cast<std::uint32_t>(image));
    sets.train = numbers_of(read(train_column));
    sets.test = numbers_of(read(test_column));
    return sets;
}

}  // namespace twinscreen
