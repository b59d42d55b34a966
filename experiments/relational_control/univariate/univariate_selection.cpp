#include "experiments/relational_control/univariate/univariate_selection.hpp"

#include <algorithm>
#include <limits>

#include "experiments/relational_control/columns.hpp"

namespace twinscreen {
namespace {

constexpr std::uint64_t shard_images = std::uint64_t{1} << 16U;
constexpr ColumnId key_column{0};
constexpr ColumnId partial_image_column{1};
constexpr ColumnId partial_count_column{2};
constexpr ColumnId image_column{3};
constexpr ColumnId passed_column{4};
constexpr std::array<ColumnId, 2> response_columns{ColumnId{5}, ColumnId{6}};

/// +1 where a set raises the area, -1 where it lowers it.
double sign_of(std::size_t condition, std::size_t side)
{
    return wants_high(static_cast<ControlCondition>(condition), side) ? 1.0 : -1.0;
}

/// The images of one cell of [cells, ranks], without the places that stayed empty.
std::vector<std::uint32_t> set_at(std::span<const std::int64_t> images, std::size_t cell,
                                  std::size_t ranks)
{
    std::vector<std::uint32_t> set;
    for (const std::int64_t image : images.subspan(cell * ranks, ranks))
        if (image >= 0) set.push_back(static_cast<std::uint32_t>(image));
    return set;
}

}  // namespace

StagePlan UnivariateSelection::plan(const CampaignInputs& inputs, const StageHistory& history)
{
    responses_ = read_mean_responses(study_, history);
    baseline_ = read_univariate_baseline(study_, history);
    train_.clear();
    for (const Fold& fold : study_.folds)
        for (std::size_t area = 0; area < study_.areas.size(); ++area)
            train_.push_back(training_response(responses_, study_, fold, area));
    scale_.assign(train_.size(), 1.0);
    for (std::size_t cell = 0; cell < train_.size() && settings_.standardise; ++cell) {
        const double deviation = response_deviation(train_[cell], responses_.usable);
        // No image of an area that does not vary lies beyond a margin.
        scale_[cell] = deviation > 0.0 ? 1.0 / deviation : std::numeric_limits<double>::quiet_NaN();
    }

    StagePlan stage = plan_without_stimuli("images");
    stage.plan.stage = stage_name;
    stage.plan.items = responses_.images();
    stage.plan.shard_items = shard_images;
    stage.plan.threads_per_rank = inputs.schedule.threads_per_rank;
    const Axis pair = axis_of("pair", study_.pairs.size());
    const Axis fold = axis_of("fold", study_.folds.size());
    const Axis condition = axis_of("condition", control_conditions);
    const Axis rank = axis_of("rank", settings_.images);
    const auto response_spec = [&](const char* name, const char* text) {
        const Axis subject = axis_of("subject", study_.subjects.size());
        return ColumnSpec{
            name, Domain::stage, ElementType::f32, {pair, fold, condition, rank, subject},
            "",   text};
    };
    const std::vector<Axis> ranked{pair, fold, condition, rank};
    const std::vector<Axis> cell{pair, fold, condition};
    stage.columns = {
        {"shard_key", Domain::shard, ElementType::f32, ranked, "",
         "sum or difference that ranks images"},
        {"shard_image", Domain::shard, ElementType::u64, ranked, "", "best images of the shard"},
        {"shard_passed", Domain::shard, ElementType::i64, cell, "", "images beyond the margins"},
        {"controlling_image", Domain::stage, ElementType::i64, ranked, "",
         "images that control the pair, best first; -1 where too few lie beyond the margins"},
        {"passed", Domain::stage, ElementType::i64, cell, "", "images beyond the margins"},
        response_spec("response_1", "mean response of the pair's first area to each image"),
        response_spec("response_2", "mean response of the pair's second area to each image"),
    };
    stage.tables.axes = {{"pairs", "pair", study_.pair_table()},
                         {"folds", "fold", study_.fold_table()},
                         {"conditions", "condition", condition_table()},
                         {"subjects", "subject", study_.subject_table()}};
    stage.tables.items = stage.plan.items;
    stage.tables.describe_items = number_items("image");
    stage.settings = {{"study", study_.digest()},
                      {"margin", fmt::format("{}{}", settings_.margin,
                                             settings_.standardise ? " standard deviations" : "")}};

    return stage;
}

Shape UnivariateSelection::ranked_shape() const
{
    return {extent(study_.pairs.size()), extent(study_.folds.size()), extent(control_conditions),
            extent(settings_.images)};
}

/// Keys of one image [pairs, folds, conditions]: NaN where it does not pass.
void UnivariateSelection::rank_image(std::size_t image, std::vector<float>& keys) const
{
    std::size_t at = 0;
    const std::size_t areas = study_.areas.size();
    for (const AreaPair& pair : study_.pairs)
        for (std::size_t fold = 0; fold < study_.folds.size(); ++fold) {
            const std::array<std::size_t, 2> cell{fold * areas + pair.first,
                                                  fold * areas + pair.second};
            for (std::size_t condition = 0; condition < control_conditions; ++condition) {
                double key = 0.0;
                bool passes = true;
                for (std::size_t side = 0; side < 2; ++side) {
                    const double sign = sign_of(condition, side);
                    const auto value = static_cast<double>(train_[cell[side]][image]);
                    const double scale = scale_[cell[side]];
                    passes = passes && sign * (value - baseline_.train[cell[side]]) * scale >=
                                           settings_.margin;
                    key += sign * value * scale;
                }
                keys[at++] =
                    passes ? static_cast<float>(key) : std::numeric_limits<float>::quiet_NaN();
            }
        }
}

void UnivariateSelection::run(const Shard& shard, ShardTools& tools)
{
    Selection best(Extreme::largest, cells(), settings_.images);
    std::vector<float> keys(cells());
    OwnedBatch passed(ElementType::i64, {1, extent(study_.pairs.size()),
                                         extent(study_.folds.size()), extent(control_conditions)});
    std::ranges::fill(passed.values<std::int64_t>(), 0);
    const std::uint64_t first = index_of(shard.items.first);
    const auto from = std::ranges::lower_bound(responses_.usable, first);
    const auto to = std::ranges::lower_bound(responses_.usable, first + shard.items.count);
    for (auto image = from; image != to; ++image) {
        rank_image(*image, keys);
        best.add_rows({keys.data(), ElementType::f32, {1, extent(cells())}}, *image);
        for (std::size_t cell = 0; cell < keys.size(); ++cell)
            if (keys[cell] == keys[cell]) ++passed.values<std::int64_t>()[cell];
    }
    const Shape ranked = ranked_shape().with_rows(1);
    OwnedBatch values(ElementType::f32, ranked), images(ElementType::u64, ranked);
    const Shape flat{extent(cells()), extent(settings_.images)};
    best.store({values.view().data, ElementType::f32, flat},
               {images.view().data, ElementType::u64, flat});
    tools.write(key_column, std::move(values));
    tools.write(partial_image_column, std::move(images));
    tools.write(partial_count_column, std::move(passed));
}

SummaryRows UnivariateSelection::combine(const StageResults& results)
{
    Selection best(Extreme::largest, cells(), settings_.images);
    OwnedBatch passed(ElementType::i64, {extent(study_.pairs.size()), extent(study_.folds.size()),
                                         extent(control_conditions)});
    std::ranges::fill(passed.values<std::int64_t>(), 0);
    const Shape flat{extent(cells()), extent(settings_.images)};
    for (std::uint64_t shard = 0; shard < results.plan().shards(); ++shard) {
        results.check_stop();
        const OwnedBatch values = results.read(key_column, shard, 1);
        const OwnedBatch images = results.read(partial_image_column, shard, 1);
        const OwnedBatch counts = results.read(partial_count_column, shard, 1);
        best.merge(Selection::load(Extreme::largest, {values.view().data, ElementType::f32, flat},
                                   {images.view().data, ElementType::u64, flat}));
        for (std::size_t cell = 0; cell < cells(); ++cell)
            passed.values<std::int64_t>()[cell] += counts.values<std::int64_t>()[cell];
    }
    SummaryRows summary;
    OwnedBatch images = controlling_images(best);
    std::array<OwnedBatch, 2> responses{responses_to(images.values<std::int64_t>(), 0),
                                        responses_to(images.values<std::int64_t>(), 1)};
    summary.emplace_back(image_column, std::move(images));
    summary.emplace_back(passed_column, std::move(passed));
    for (std::size_t side = 0; side < 2; ++side)
        summary.emplace_back(response_columns[side], std::move(responses[side]));
    return summary;
}

OwnedBatch UnivariateSelection::controlling_images(const Selection& best) const
{
    OwnedBatch images(ElementType::i64, ranked_shape());
    std::ranges::fill(images.values<std::int64_t>(), -1);
    for (std::size_t cell = 0; cell < cells(); ++cell) {
        const std::vector<Ranked> column = best.column(cell);
        std::ranges::transform(
            column,
            images.values<std::int64_t>().begin() + extent(cell * std::size_t{settings_.images}),
            [](const Ranked& ranked) { return static_cast<std::int64_t>(ranked.item); });
    }
    return images;
}

/// images  [pairs, folds, conditions, ranks]
OwnedBatch UnivariateSelection::responses_to(std::span<const std::int64_t> images,
                                             std::size_t side) const
{
    const std::size_t subjects = study_.subjects.size(), ranks = settings_.images;
    OwnedBatch result(ElementType::f32,
                      {extent(study_.pairs.size()), extent(study_.folds.size()),
                       extent(control_conditions), extent(ranks), extent(subjects)});
    auto out = result.values<float>().begin();
    for (std::size_t cell = 0; cell < cells(); ++cell) {
        const AreaPair pair = study_.pairs[cell / (study_.folds.size() * control_conditions)];
        const std::size_t area = side == 0 ? pair.first : pair.second;
        for (std::size_t rank = 0; rank < ranks; ++rank)
            for (std::size_t subject = 0; subject < subjects; ++subject) {
                const std::int64_t image = images[cell * ranks + rank];
                *out++ = image < 0 ? std::numeric_limits<float>::quiet_NaN()
                                   : responses_.at(static_cast<std::size_t>(image),
                                                   study_.population(subject, area));
            }
    }
    return result;
}

std::vector<std::string> UnivariateSelection::report(const StageResults& results,
                                                     const CampaignInputs& inputs,
                                                     const std::filesystem::path& folder)
{
    std::vector<std::string> lines{
        fmt::format("{} of {} images have a mean response of every population",
                    responses_.usable.size(), responses_.images())};
    for (std::string& line : short_sets(results)) lines.push_back(std::move(line));
    for (std::string& line :
         write_set_sheet(shown_sets(results), "images that control the mean responses of two areas",
                         inputs, folder / "univariate_sets.png"))
        lines.push_back(std::move(line));
    if (!session_) return lines;
    for (std::string& line :
         write_session(session_sets(results), *session_, univariate_session, inputs, folder))
        lines.push_back(std::move(line));
    return lines;
}

std::vector<SessionSet> UnivariateSelection::session_sets(const StageResults& results) const
{
    constexpr std::array<ControlCondition, control_conditions> order{
        ControlCondition::both_high, ControlCondition::high_low, ControlCondition::low_high,
        ControlCondition::both_low};
    const OwnedBatch stored = results.read(image_column, 0, 1);
    const auto images = stored.values<std::int64_t>();
    std::vector<SessionSet> sets;
    for (const ControlCondition condition : order) {
        const auto at = static_cast<std::size_t>(condition);
        const std::size_t cell =
            session_->pair_index * study_.folds.size() * control_conditions + at;
        sets.push_back({condition_names[at], set_at(images, cell, settings_.images)});
    }
    const AreaPair& pair = study_.pairs[session_->pair_index];
    for (const std::size_t area : {pair.first, pair.second}) {
        const auto baseline = baseline_.of(0, area);
        sets.push_back({"baseline " + study_.areas[area], {baseline.begin(), baseline.end()}});
    }
    return sets;
}

/// How many sets of each condition are short: too few images lie beyond the margins.
std::vector<std::string> UnivariateSelection::short_sets(const StageResults& results) const
{
    const OwnedBatch passed = results.read(passed_column, 0, 1);
    const auto counts = passed.values<std::int64_t>();
    std::vector<std::string> lines;
    for (std::size_t at = 0; at < control_conditions; ++at) {
        std::size_t sets = 0;
        std::int64_t fewest = settings_.images;
        for (std::size_t cell = at; cell < cells(); cell += control_conditions) {
            if (counts[cell] < std::int64_t{settings_.images}) ++sets;
            fewest = std::min(fewest, counts[cell]);
        }
        if (sets > 0)
            lines.push_back(fmt::format(
                "  {}: {} of {} sets are short of {} images (the least has {}): too few lie {} "
                "beyond the baselines. They are tested with the images they have; a smaller margin "
                "finds more",
                condition_names[at], sets, cells() / control_conditions, settings_.images, fewest,
                settings_.margin));
    }
    return lines;
}

/// The sets chosen on all subjects, for people.
std::vector<ShownSet> UnivariateSelection::shown_sets(const StageResults& results) const
{
    const OwnedBatch stored = results.read(image_column, 0, 1);
    std::vector<ShownSet> sets;
    for (std::size_t area = 0; area < study_.areas.size(); ++area) {
        const auto baseline = baseline_.of(0, area);
        sets.push_back({study_.areas[area] + "\nbaseline", {baseline.begin(), baseline.end()}});
    }
    for (std::size_t pair = 0; pair < study_.pairs.size(); ++pair)
        for (std::size_t at = 0; at < control_conditions; ++at) {
            const std::size_t cell = pair * study_.folds.size() * control_conditions + at;
            sets.push_back({fmt::format("{}\n{}", study_.pair_name(pair), condition_names[at]),
                            set_at(stored.values<std::int64_t>(), cell, settings_.images)});
        }
    return sets;
}

std::string UnivariateSelection::outlook() const
{
    return fmt::format("stage {}: {} pairs x {} folds x {} conditions, {} images each", stage_name,
                       study_.pairs.size(), study_.folds.size(), control_conditions,
                       settings_.images);
}

ControllingSets read_controlling_sets(const StageHistory& history, const Study& study,
                                      std::size_t pair, std::size_t fold)
{
    const OwnedBatch stored = history.read(UnivariateSelection::stage_name, image_column, 0, 1);
    const auto images = stored.values<std::int64_t>();
    const std::size_t ranks =
        images.size() / (study.pairs.size() * study.folds.size() * control_conditions);
    ControllingSets sets;
    const std::size_t first = (pair * study.folds.size() + fold) * control_conditions;
    for (std::size_t condition = 0; condition < control_conditions; ++condition)
        sets[condition] = set_at(images, first + condition, ranks);
    return sets;
}

}  // namespace twinscreen
