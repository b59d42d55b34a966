#include "experiments/relational_control/group_stage.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/ranges.h>

#include "engine/run/progress.hpp"
#include "experiments/relational_control/columns.hpp"
#include "experiments/relational_control/statistics/group_statistics.hpp"
#include "experiments/relational_control/statistics/subject_summary.hpp"

namespace twinscreen {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();
constexpr double alpha = 0.05;

constexpr ColumnId trend_column{0};
constexpr ColumnId p_column{1};
constexpr ColumnId significant_column{2};
constexpr ColumnId group_mean_column{3};
constexpr std::uint32_t first_summary = 4;

}  // namespace

GroupStage::GroupStage(const ControlSettings& settings, const Study& study,
                       const std::vector<GroupAnalysis>& analyses, std::string name,
                       std::vector<std::string> rows, std::size_t family)
    : settings_(settings),
      study_(study),
      analyses_(analyses),
      name_(std::move(name)),
      rows_(std::move(rows)),
      family_(family)
{
}

Table GroupStage::describe(ItemRange items) const
{
    std::vector<std::string> names, subjects;
    for (std::uint64_t at = 0; at < items.count; ++at) {
        const std::uint64_t item = index_of(items.first) + at;
        names.push_back(analyses_[item / study_.test_folds()].name);
        const Fold& fold = study_.folds[1 + item % study_.test_folds()];
        subjects.push_back(study_.subjects[*fold.test].name);
    }
    return {{{"analysis", "", std::move(names)}, {"test_subject", "", std::move(subjects)}}};
}

StagePlan GroupStage::plan(const CampaignInputs& inputs, const StageHistory& history)
{
    open(history);
    StagePlan stage = plan_without_stimuli("tests");
    stage.plan.stage = name_;
    stage.plan.items = analyses_.size() * study_.test_folds();
    stage.plan.threads_per_rank = inputs.schedule.threads_per_rank;
    const Axis analysis = axis_of("analysis", analyses_.size());
    const Axis row = axis_of("row", rows_.size());
    const Axis trend = axis_of("trend", trend_count);
    const Axis group = axis_of("group", group_count());
    const auto add = [&](const char* name, Domain domain, std::vector<Axis> axes,
                         const char* text) {
        stage.columns.push_back({name, domain, ElementType::f64, std::move(axes), "", text});
    };
    add("trend", Domain::item, {row, trend},
        "statistic, positive in the tested direction: falling from group to group, for "
        "disentangling conditions rising");
    add("p", Domain::item, {row, trend}, "permutation p, one-sided");
    add("significant", Domain::item, {row},
        "1 where p of the counted trend passes Benjamini and Hochberg at 0.05 (the last row of "
        "the mean responses: alone)");
    add("group_mean", Domain::item, {row, group}, "mean of the group's values");
    add("mean_trend", Domain::stage, {analysis, row, trend}, "mean over test subjects");
    add("mean_of_group", Domain::stage, {analysis, row, group}, "mean over test subjects");
    add("group_low", Domain::stage, {analysis, row, group},
        "lower bound of its 95 % bootstrap interval");
    add("group_high", Domain::stage, {analysis, row, group},
        "upper bound of its 95 % bootstrap interval");
    add("significant_subjects", Domain::stage, {analysis, row},
        "test subjects with a significant trend");
    add("binomial_p", Domain::stage, {analysis, row},
        "chance of so many without a trend; NaN below three subjects, or where they share animals");
    stage.tables.axes = {{"analyses", "analysis", group_table(analyses_, study_)},
                         {"rows", "row", row_table()},
                         {"trends", "trend", trend_table()}};
    stage.tables.items = stage.plan.items;
    stage.tables.describe_items = [this](ItemRange items) { return describe(items); };
    stage.settings = {
        {"study", study_.digest()},
        {"permutations", std::to_string(permutations())},
        {"compat", settings_.compat == Compat::reference ? "reference" : "corrected"}};
    return stage;
}

void GroupStage::run(const Shard& shard, ShardTools& tools)
{
    const std::uint64_t item = index_of(shard.items.first);
    const std::vector<TrendTests> tests =
        test({&analyses_[item / study_.test_folds()], 1 + item % study_.test_folds(),
              static_cast<std::uint32_t>(item), tools.seed, tools.check_stop});
    std::vector<double> trends, p, family, marks, means(rows_.size() * group_count(), nan);
    const Trend counted = counted_trend(settings_.compat);
    for (std::size_t row = 0; row < rows_.size(); ++row) {
        for (const PermutationTest& one : tests[row].tests) {
            trends.push_back(one.observed);
            p.push_back(one.p());
        }
        family.push_back(tests[row].test(counted).p());
        std::ranges::copy(tests[row].group_means, means.begin() + extent(row * group_count()));
    }
    const std::vector<bool> rejected = rejected_at_fdr(std::span(family).first(family_));
    for (std::size_t row = 0; row < rows_.size(); ++row) {
        const bool is_significant = row < family_ ? rejected[row] : family[row] <= alpha;
        marks.push_back(mark_of(is_significant, family[row]));
    }
    tools.write(trend_column, batch_of(trends, {1, extent(rows_.size()), extent(trend_count)}));
    tools.write(p_column, batch_of(p, {1, extent(rows_.size()), extent(trend_count)}));
    tools.write(significant_column, batch_of(marks, {1, extent(rows_.size())}));
    tools.write(group_mean_column,
                batch_of(means, {1, extent(rows_.size()), extent(group_count())}));
}

SummaryRows GroupStage::combine(const StageResults& results)
{
    const std::size_t subjects = study_.test_folds();
    /// Values of all test subjects in each cell of an analysis.
    const auto each_cell = [&](ColumnId column, std::size_t cells, const auto& visit) {
        for (std::size_t analysis = 0; analysis < analyses_.size(); ++analysis) {
            const std::vector<double> all =
                numbers_of(results.read(column, analysis * subjects, subjects));
            for (std::size_t cell = 0; cell < cells; ++cell) {
                std::vector<double> values;
                for (std::size_t subject = 0; subject < subjects; ++subject)
                    values.push_back(all[subject * cells + cell]);
                visit(values);
            }
        }
    };
    std::vector<double> trends, means, low, high, significant, binomial;
    each_cell(trend_column, rows_.size() * trend_count, [&](const std::vector<double>& values) {
        trends.push_back(mean_over_subjects(values).mean);
    });
    each_cell(group_mean_column, rows_.size() * group_count(),
              [&](const std::vector<double>& values) {
                  const SubjectMean mean = mean_over_subjects(values);
                  means.push_back(mean.mean);
                  low.push_back(mean.low);
                  high.push_back(mean.high);
              });
    each_cell(significant_column, rows_.size(), [&](const std::vector<double>& values) {
        const SubjectCount count = count_subjects(values, study_);
        significant.push_back(count.significant);
        binomial.push_back(count.binomial_p);
    });
    const Shape rows{extent(analyses_.size()), extent(rows_.size())};
    const Shape groups{rows.extent[0], rows.extent[1], extent(group_count())};
    SummaryRows summary;
    std::uint32_t column = first_summary;
    const auto add = [&](const std::vector<double>& values, const Shape& shape) {
        summary.emplace_back(ColumnId{column++}, batch_of(values, shape));
    };
    add(trends, {rows.extent[0], rows.extent[1], extent(trend_count)});
    for (const std::vector<double>* values : {&means, &low, &high}) add(*values, groups);
    add(significant, rows);
    add(binomial, rows);
    return summary;
}

std::vector<std::string> GroupStage::report(const StageResults& results, const CampaignInputs&,
                                            const std::filesystem::path&)
{
    const auto read = [&](std::uint32_t column) {
        return numbers_of(results.read(ColumnId{first_summary + column}, 0, 1));
    };
    const std::vector<double> means = read(1), significant = read(4), binomial = read(5);
    std::vector<std::string> lines;
    for (std::size_t analysis = 0; analysis < analyses_.size(); ++analysis) {
        const std::size_t groups = analyses_[analysis].groups.size();
        lines.push_back(
            fmt::format("{}: mean of each group of pairs; test subjects of {} with a "
                        "significant trend",
                        analyses_[analysis].name, study_.test_folds()));
        for (std::size_t row = 0; row < rows_.size(); ++row) {
            const std::size_t at = analysis * rows_.size() + row;
            std::string text;
            for (std::size_t group = 0; group < groups; ++group)
                text += fmt::format(" {:+.4f}", means[at * group_count() + group]);
            lines.push_back(fmt::format(
                "  {:<12}{}; {:.0f}{}", rows_[row], text, significant[at],
                std::isnan(binomial[at]) ? "" : fmt::format(", binomial p {:.2g}", binomial[at])));
        }
    }
    return lines;
}

std::string GroupStage::outlook() const
{
    return fmt::format("stage {}: {} analyses x {} test subjects, {} permutations each", name_,
                       analyses_.size(), study_.test_folds(), count_text(permutations()));
}

}  // namespace twinscreen
