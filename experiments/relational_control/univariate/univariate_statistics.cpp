#include "experiments/relational_control/univariate/univariate_statistics.hpp"

#include <algorithm>
#include <limits>

#include "engine/run/progress.hpp"
#include "experiments/relational_control/columns.hpp"
#include "experiments/relational_control/statistics/group_statistics.hpp"
#include "experiments/relational_control/statistics/subject_summary.hpp"
#include "experiments/statistics.hpp"

namespace twinscreen {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();
constexpr std::size_t cells = control_conditions * 2;  // conditions x sides

/// Columns with one value for each condition and side.
enum CellColumn : std::uint32_t { effect, response, p, significant, null_mean, null_sd };
struct CellColumnText {
    const char* name;
    const char* text;
};
constexpr std::array<CellColumnText, 6> cell_columns{{
    {"effect", "mean response to the controlling images minus that to the baseline images"},
    {"response", "mean response to the controlling images"},
    {"p", "permutation p of the effect, one-sided: high raises, low lowers the response"},
    {"significant",
     "1 where p passes Benjamini and Hochberg at 0.05 over the eight of a subject; NaN: no test"},
    {"null_mean", "mean effect over permutations of the image labels"},
    {"null_sd", "standard deviation over permutations of the image labels"},
}};
constexpr ColumnId baseline_column{cell_columns.size()};
constexpr ColumnId correlation_column{cell_columns.size() + 1};
constexpr std::uint32_t first_summary = cell_columns.size() + 2;

/// Summary columns with one value for each pair, condition and side.
constexpr std::array<CellColumnText, 8> group_columns{{
    {"mean_effect", "mean effect over test subjects"},
    {"effect_low", "lower bound of the 95 % bootstrap interval of the mean effect"},
    {"effect_high", "upper bound of the 95 % bootstrap interval of the mean effect"},
    {"mean_response", "mean response over test subjects"},
    {"response_low", "lower bound of the 95 % bootstrap interval of the mean response"},
    {"response_high", "upper bound of the 95 % bootstrap interval of the mean response"},
    {"significant_subjects", "test subjects with a significant effect"},
    {"binomial_p",
     "chance of so many significant subjects without an effect; NaN below three "
     "subjects, or where test subjects share animals"},
}};

Table side_table()
{
    return {{{"name", "", std::vector<std::string>{"first area", "second area"}}}};
}

/// Mean of the rows of a set in one of two columns.
double mean_of(std::span<const float> responses, std::span<const std::uint32_t> set,
               std::size_t side)
{
    double sum = 0.0;
    for (const std::uint32_t row : set) sum += static_cast<double>(responses[2 * row + side]);
    return set.empty() ? nan : sum / static_cast<double>(set.size());
}

}  // namespace

UnivariateStatistics::Case UnivariateStatistics::case_of(std::uint64_t item) const
{
    const std::size_t fold = 1 + item % study_.test_folds();
    return {item / study_.test_folds(), fold, *study_.folds[fold].test};
}

Table UnivariateStatistics::describe(ItemRange items) const
{
    std::vector<std::string> pairs, subjects;
    for (std::uint64_t at = 0; at < items.count; ++at) {
        const Case one = case_of(index_of(items.first) + at);
        pairs.push_back(study_.pair_name(one.pair));
        subjects.push_back(study_.subjects[one.subject].name);
    }
    return {{{"pair", "", std::move(pairs)}, {"test_subject", "", std::move(subjects)}}};
}

StagePlan UnivariateStatistics::plan(const CampaignInputs& inputs, const StageHistory& history)
{
    responses_ = read_mean_responses(study_, history);
    baseline_ = read_univariate_baseline(study_, history);
    sets_.clear();
    for (std::size_t pair = 0; pair < study_.pairs.size(); ++pair)
        for (std::size_t fold = 0; fold < study_.folds.size(); ++fold)
            sets_.push_back(read_controlling_sets(history, study_, pair, fold));

    StagePlan stage = plan_without_stimuli("tests");
    stage.plan.stage = stage_name;
    stage.plan.items = study_.pairs.size() * study_.test_folds();
    stage.plan.threads_per_rank = inputs.schedule.threads_per_rank;
    const Axis pair = axis_of("pair", study_.pairs.size());
    const Axis condition = axis_of("condition", control_conditions);
    const Axis side{"side", 2, ""};
    const auto add = [&](const char* name, Domain domain, std::vector<Axis> row, const char* text) {
        stage.columns.push_back({name, domain, ElementType::f64, std::move(row), "", text});
    };
    for (const CellColumnText& column : cell_columns)
        add(column.name, Domain::item, {condition, side}, column.text);
    add("baseline", Domain::item, {side}, "mean response to the baseline images of the area");
    add("correlation", Domain::item, {},
        "Pearson correlation of the mean responses of the two areas over all images");
    for (const CellColumnText& column : group_columns)
        add(column.name, Domain::stage, {pair, condition, side}, column.text);
    add("mean_baseline", Domain::stage, {pair, side}, "mean baseline over test subjects");
    add("mean_correlation", Domain::stage, {pair}, "mean correlation over test subjects");
    stage.tables.axes = {{"pairs", "pair", study_.pair_table()},
                         {"conditions", "condition", condition_table()},
                         {"sides", "side", side_table()}};
    stage.tables.items = stage.plan.items;
    stage.tables.describe_items = [this](ItemRange items) { return describe(items); };
    stage.settings = {{"study", study_.digest()},
                      {"permutations", std::to_string(settings_.permutations)}};
    return stage;
}

/// Responses of both areas of a pair to the usable images [usable images, 2].
std::vector<float> UnivariateStatistics::responses_of(const Case& one) const
{
    const AreaPair& pair = study_.pairs[one.pair];
    std::vector<float> table;
    table.reserve(2 * responses_.usable.size());
    for (const std::uint32_t image : responses_.usable)
        for (const std::size_t area : {pair.first, pair.second})
            table.push_back(responses_.at(image, study_.population(one.subject, area)));
    return table;
}

void UnivariateStatistics::run(const Shard& shard, ShardTools& tools)
{
    const std::uint64_t item = index_of(shard.items.first);
    const Case one = case_of(item);
    const std::vector<float> table = responses_of(one);
    std::array<std::vector<std::uint32_t>, control_conditions> controlling;
    for (std::size_t at = 0; at < control_conditions; ++at)
        controlling[at] = responses_.rows_of(sets_[one.pair * study_.folds.size() + one.fold][at]);
    const AreaPair& pair = study_.pairs[one.pair];
    const std::array<std::vector<std::uint32_t>, 2> baseline{
        responses_.rows_of(baseline_.of(one.fold, pair.first)),
        responses_.rows_of(baseline_.of(one.fold, pair.second))};
    ControlSets sets;
    for (std::size_t at = 0; at < control_conditions; ++at) sets.controlling[at] = controlling[at];
    for (std::size_t side = 0; side < 2; ++side) sets.baseline[side] = baseline[side];
    const ControlTests tests = permute_images(table, sets,
                                              {tools.seed, static_cast<std::uint32_t>(item), 0,
                                               static_cast<std::uint32_t>(settings_.permutations)});

    std::array<std::array<double, cells>, cell_columns.size()> values;
    for (std::size_t cell = 0; cell < cells; ++cell) {
        const PermutationTest& test = tests[cell / 2][cell % 2];
        values[effect][cell] = test.observed;
        values[response][cell] = mean_of(table, controlling[cell / 2], cell % 2);
        values[p][cell] = test.p();
        values[null_mean][cell] = test.mean();
        values[null_sd][cell] = test.sd();
    }
    const std::vector<bool> rejected = rejected_at_fdr(values[p]);
    for (std::size_t cell = 0; cell < cells; ++cell)
        values[significant][cell] = mark_of(rejected[cell], values[p][cell]);
    for (std::uint32_t column = 0; column < cell_columns.size(); ++column)
        tools.write(ColumnId{column}, batch_of(values[column], {1, extent(control_conditions), 2}));
    const std::array<double, 2> base{mean_of(table, baseline[0], 0),
                                     mean_of(table, baseline[1], 1)};
    tools.write(baseline_column, batch_of(base, {1, 2}));
    std::vector<double> first, second;
    for (std::size_t row = 0; row < responses_.usable.size(); ++row) {
        first.push_back(static_cast<double>(table[2 * row]));
        second.push_back(static_cast<double>(table[2 * row + 1]));
    }
    const std::array<double, 1> correlation{pearson(first, second)};
    tools.write(correlation_column, batch_of(correlation, {1}));
}

SummaryRows UnivariateStatistics::combine(const StageResults& results)
{
    const std::size_t subjects = study_.test_folds(), pairs = study_.pairs.size();
    const auto read = [&](std::uint32_t column) {
        return numbers_of(results.read(ColumnId{column}, 0, pairs * subjects));
    };
    /// Values of all test subjects of one pair, in one cell of so many.
    const auto over_subjects = [&](const std::vector<double>& values, std::size_t pair,
                                   std::size_t cell, std::size_t width) {
        std::vector<double> row;
        for (std::size_t subject = 0; subject < subjects; ++subject)
            row.push_back(values[(pair * subjects + subject) * width + cell]);
        return row;
    };
    std::array<std::vector<double>, group_columns.size()> group;
    const std::vector<double> effects = read(effect), means = read(response),
                              marks = read(significant), base = read(index_of(baseline_column)),
                              correlations = read(index_of(correlation_column));
    for (std::size_t pair = 0; pair < pairs; ++pair)
        for (std::size_t cell = 0; cell < cells; ++cell) {
            std::size_t column = 0;
            for (const std::vector<double>* values : {&effects, &means}) {
                const SubjectMean mean =
                    mean_over_subjects(over_subjects(*values, pair, cell, cells));
                for (const double value : {mean.mean, mean.low, mean.high})
                    group[column++].push_back(value);
            }
            const SubjectCount count =
                count_subjects(over_subjects(marks, pair, cell, cells), study_);
            group[column++].push_back(count.significant);
            group[column].push_back(count.binomial_p);
        }
    std::vector<double> mean_baseline, mean_correlation;
    for (std::size_t pair = 0; pair < pairs; ++pair) {
        for (std::size_t side = 0; side < 2; ++side)
            mean_baseline.push_back(mean(over_subjects(base, pair, side, 2)));
        mean_correlation.push_back(mean(over_subjects(correlations, pair, 0, 1)));
    }
    SummaryRows summary;
    std::uint32_t column = first_summary;
    const auto add = [&](const std::vector<double>& values, const Shape& shape) {
        summary.emplace_back(ColumnId{column++}, batch_of(values, shape));
    };
    for (const std::vector<double>& values : group)
        add(values, {extent(pairs), extent(control_conditions), 2});
    add(mean_baseline, {extent(pairs), 2});
    add(mean_correlation, {extent(pairs)});
    return summary;
}

std::vector<std::string> UnivariateStatistics::report(const StageResults& results,
                                                      const CampaignInputs&,
                                                      const std::filesystem::path&)
{
    std::array<std::vector<double>, group_columns.size()> group;
    for (std::uint32_t column = 0; column < group_columns.size(); ++column)
        group[column] = numbers_of(results.read(ColumnId{first_summary + column}, 0, 1));
    const OwnedBatch base =
        results.read(ColumnId{first_summary + std::uint32_t{group_columns.size()}}, 0, 1);
    std::vector<std::string> lines{
        fmt::format("effects on {} held-out subject{}, mean [95 % interval], significant subjects "
                    "of {}{}; baseline: random sets",
                    study_.test_folds(), study_.test_folds() == 1 ? "" : "s", study_.test_folds(),
                    study_.has_independent_tests() ? ", binomial p" : "")};
    for (std::size_t at = 0; at < study_.pairs.size() * cells; ++at) {
        const std::size_t pair = at / cells, condition = at % cells / 2, side = at % 2;
        const std::size_t area = side == 0 ? study_.pairs[pair].first : study_.pairs[pair].second;
        if (std::isnan(group[0][at])) {
            lines.push_back(fmt::format("  {:<22} {:<9} {:<12} no images beyond the margin",
                                        study_.pair_name(pair), condition_names[condition],
                                        study_.areas[area]));
            continue;
        }
        lines.push_back(fmt::format(
            "  {:<22} {:<9} {:<12} {:+.3f} [{:+.3f}, {:+.3f}] from {:.3f}; {:.0f}{}",
            study_.pair_name(pair), condition_names[condition], study_.areas[area], group[0][at],
            group[1][at], group[2][at], base.values<double>()[pair * 2 + side], group[6][at],
            study_.has_independent_tests() ? fmt::format(", {:.2g}", group[7][at]) : ""));
    }
    return lines;
}

std::string UnivariateStatistics::outlook() const
{
    return fmt::format("stage {}: {} pairs x {} test subjects, {} permutations each", stage_name,
                       study_.pairs.size(), study_.test_folds(),
                       count_text(settings_.permutations));
}

}  // namespace twinscreen
