#include "experiments/relational_control/accuracy/accuracy_columns.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "experiments/relational_control/columns.hpp"
#include "experiments/relational_control/statistics/group_statistics.hpp"
#include "experiments/relational_control/statistics/subject_summary.hpp"

namespace twinscreen {
namespace {

constexpr std::size_t kinds = predictor_names.size();
constexpr std::size_t comparisons = comparison_names.size();

/// Values of an area in a column: one, or one for each predictor or comparison.
enum class Width : std::size_t { area = 1, predictor = kinds, comparison = comparisons };

struct Column {
    const char* name;
    Width width;
    const char* text;
};

enum SubjectColumn : std::uint32_t {
    accuracy,
    shuffled_accuracy,
    common_accuracy,
    kept_units,
    scored_units,
    share_of_noise,
    noise_images,
    noise_score,
    shuffled_noise_score,
    noise_effect,
    p_within_units,
    p_pooled,
    significant,
    subject_column_count
};
constexpr std::array<Column, subject_column_count> subject_columns{{
    {"accuracy", Width::area,
     "explained share of the explainable variance of the mean over trials, mean over kept units"},
    {"shuffled_accuracy", Width::area, "the same of predictions of other images: chance"},
    {"common_accuracy", Width::area, "the same of the mean prediction over units"},
    {"kept_units", Width::area, "units above the signal-to-noise ratio, without NaN"},
    {"scored_units", Width::area, "of these, units whose responses and predictions vary"},
    {"noise_share", Width::area, "share of the noise of single trials left in the means"},
    {"noise_images", Width::area, "images of the noise analysis: shown at least three times"},
    {"noise_score", Width::predictor,
     "explained share of the explainable variance of single trials, mean over units and trials"},
    {"shuffled_noise_score", Width::predictor, "the same of predictors of other images: chance"},
    {"noise_effect", Width::comparison, "difference of two noise scores"},
    {"p_within_units", Width::comparison,
     "p of the difference against swapping both scores of a unit, one-sided"},
    {"p_pooled", Width::comparison,
     "p as published, against exchanging the scores of all units and trials, one-sided"},
    {"significant", Width::comparison,
     "1 where p (within units, or pooled with compat = \"reference\") passes Benjamini and "
     "Hochberg at 0.05 over the two comparisons"},
}};

/// Means over subjects with intervals, then the tests.
struct MeanColumn {
    const char* name;
    SubjectColumn of;
};
constexpr std::array<MeanColumn, 6> mean_columns{{{"accuracy", accuracy},
                                                  {"shuffled_accuracy", shuffled_accuracy},
                                                  {"common_accuracy", common_accuracy},
                                                  {"noise_score", noise_score},
                                                  {"shuffled_noise_score", shuffled_noise_score},
                                                  {"noise_effect", noise_effect}}};
constexpr std::uint32_t first_test = subject_column_count + 3 * mean_columns.size();
constexpr std::array<Column, 3> test_columns{{
    {"significant_subjects", Width::comparison, "subjects with a significant difference"},
    {"binomial_p", Width::comparison,
     "chance of so many without an effect; NaN below three subjects"},
    {"subject_p", Width::comparison,
     "p of the mean difference against random signs of subjects, one-sided; NaN below three"},
}};

std::vector<Axis> axes_of(Width width, std::size_t areas)
{
    std::vector<Axis> axes{axis_of("area", areas)};
    if (width == Width::predictor) axes.push_back(axis_of("predictor", kinds));
    if (width == Width::comparison) axes.push_back(axis_of("comparison", comparisons));
    return axes;
}

Shape shape_of(Width width, std::size_t areas)
{
    if (width == Width::area) return {extent(areas)};
    return {extent(areas), extent(static_cast<std::size_t>(width))};
}

/// Values of one area in the columns of subjects.
using AreaValues = std::array<std::vector<double>, subject_column_count>;

AreaValues values_of(const AreaAccuracy& area, Compat compat)
{
    AreaValues values;
    values[accuracy] = {area.accuracy};
    values[shuffled_accuracy] = {area.shuffled_accuracy};
    values[common_accuracy] = {area.common_accuracy};
    values[kept_units] = {area.kept_units};
    values[scored_units] = {area.scored_units};
    values[share_of_noise] = {area.noise_share};
    values[noise_images] = {area.noise_images};
    values[noise_score].assign(area.noise_scores.begin(), area.noise_scores.end());
    values[shuffled_noise_score].assign(area.shuffled_noise_scores.begin(),
                                        area.shuffled_noise_scores.end());
    for (std::size_t at = 0; at < comparisons; ++at) {
        values[noise_effect].push_back(area.within_units[at].observed);
        values[p_within_units].push_back(area.within_units[at].p());
        values[p_pooled].push_back(area.pooled[at].p());
    }
    const auto& p = values[compat == Compat::reference ? p_pooled : p_within_units];
    const std::vector<bool> rejected = rejected_at_fdr(p);
    for (std::size_t at = 0; at < comparisons; ++at)
        values[significant].push_back(mark_of(rejected[at], p[at]));
    return values;
}

/// One cell of a column of subjects, of every subject.
std::vector<double> over_subjects(const StageResults& results, std::uint32_t column,
                                  std::size_t cells, std::size_t cell)
{
    const std::uint64_t subjects = results.plan().items;
    const std::vector<double> all = numbers_of(results.read(ColumnId{column}, 0, subjects));
    std::vector<double> values;
    for (std::uint64_t subject = 0; subject < subjects; ++subject)
        values.push_back(all[subject * cells + cell]);
    return values;
}

/// p over subjects; NaN below three of them.
double subject_p(std::vector<double> effects, std::uint64_t seed, std::size_t cell)
{
    std::erase_if(effects, [](double effect) { return std::isnan(effect); });
    if (effects.size() < Study::fewest_tests) return std::numeric_limits<double>::quiet_NaN();
    constexpr std::uint32_t first_item = std::uint32_t{1} << 31U;
    constexpr std::uint32_t draws = 100'000;
    return flip_signs(effects, {seed, first_item + static_cast<std::uint32_t>(cell), 0, draws}).p();
}

std::string interval_text(double mean, double low, double high)
{
    return fmt::format("{:.3f} [{:.3f}, {:.3f}]", mean, low, high);
}

/// Stored columns of the stage, for the report.
struct Stored {
    const StageResults& results;
    std::vector<double> of_subjects(std::uint32_t column) const
    {
        return numbers_of(results.read(ColumnId{column}, 0, results.plan().items));
    }
    std::vector<double> over(std::uint32_t column) const
    {
        return numbers_of(results.read(ColumnId{column}, 0, 1));
    }
    /// Mean, low or high (0, 1, 2) over subjects of an entry of `mean_columns`.
    std::vector<double> mean(std::size_t entry, std::uint32_t part) const
    {
        return over(subject_column_count + 3 * static_cast<std::uint32_t>(entry) + part);
    }
};

std::string accuracy_line(const Stored& stored, const std::string& name, std::size_t area)
{
    std::vector<double> kept;
    const std::vector<double> all = stored.of_subjects(kept_units);
    const std::size_t areas = all.size() / stored.results.plan().items;
    for (std::size_t at = area; at < all.size(); at += areas)
        if (!std::isnan(all[at])) kept.push_back(all[at]);
    return fmt::format(
        "  {:<12} {}; chance (shuffled images) {:.3f}, mean over units {:.3f}; {} "
        "units in {} subject{}",
        name,
        interval_text(stored.mean(0, 0)[area], stored.mean(0, 1)[area], stored.mean(0, 2)[area]),
        stored.mean(1, 0)[area], stored.mean(2, 0)[area],
        std::ranges::min(kept) == std::ranges::max(kept)
            ? fmt::format("{:.0f}", kept[0])
            : fmt::format("{:.0f} to {:.0f}", std::ranges::min(kept), std::ranges::max(kept)),
        kept.size(), kept.size() == 1 ? "" : "s");
}

std::string noise_lines(const Stored& stored, const std::string& name, std::size_t area)
{
    const std::vector<double> score = stored.mean(3, 0), shuffled = stored.mean(4, 0);
    std::string text =
        fmt::format("  {:<12} {:.3f}, {:.3f}, {:.3f}; chance {:.3f}", name, score[area * kinds],
                    score[area * kinds + 1], score[area * kinds + 2], shuffled[area * kinds + 2]);
    for (std::size_t at = 0; at < comparisons; ++at) {
        const std::size_t cell = area * comparisons + at;
        text += fmt::format("\n    {}: {} in {:.0f}", comparison_names[at],
                            interval_text(stored.mean(5, 0)[cell], stored.mean(5, 1)[cell],
                                          stored.mean(5, 2)[cell]),
                            stored.over(first_test)[cell]);
        const double binomial = stored.over(first_test + 1)[cell];
        if (!std::isnan(binomial))
            text += fmt::format(", binomial p {:.2g}, signs of subjects p {:.2g}", binomial,
                                stored.over(first_test + 2)[cell]);
    }
    return text;
}

/// What the other setting of compat would have found otherwise, and who has no noise analysis.
void add_remarks(std::vector<std::string>& lines, const Stored& stored,
                 const std::vector<std::string>& subjects, const std::vector<std::string>& areas,
                 Compat compat)
{
    const std::vector<double> images = stored.of_subjects(noise_images),
                              marks = stored.of_subjects(significant),
                              others = stored.of_subjects(
                                  compat == Compat::reference ? p_within_units : p_pooled);
    for (std::size_t at = 0; at < images.size(); ++at) {
        const std::string& subject = subjects[at / areas.size()];
        const std::string& area = areas[at % areas.size()];
        if (images[at] < 3.0)
            lines.push_back(
                fmt::format("  {} in {}: no noise analysis, {:.0f} images were shown "
                            "three times or more",
                            area, subject, images[at]));
        const auto changed = changed_verdicts(
            area + " in " + subject, {comparison_names.begin(), comparison_names.end()},
            std::span(marks).subspan(at * comparisons, comparisons),
            std::span(others).subspan(at * comparisons, comparisons), compat);
        lines.insert(lines.end(), changed.begin(), changed.end());
    }
}

}  // namespace

std::vector<ColumnSpec> accuracy_columns(std::size_t areas)
{
    std::vector<ColumnSpec> columns;
    const auto add = [&](std::string name, Domain domain, Width width, std::string text) {
        columns.push_back({std::move(name), domain, ElementType::f64, axes_of(width, areas), "",
                           std::move(text)});
    };
    for (const Column& column : subject_columns)
        add(column.name, Domain::item, column.width, column.text);
    for (const MeanColumn& column : mean_columns) {
        const Width width = subject_columns[column.of].width;
        const std::string name = column.name;
        add("mean_" + name, Domain::stage, width, "mean over subjects");
        add(name + "_low", Domain::stage, width, "lower bound of its 95 % bootstrap interval");
        add(name + "_high", Domain::stage, width, "upper bound of its 95 % bootstrap interval");
    }
    for (const Column& column : test_columns)
        add(column.name, Domain::stage, column.width, column.text);
    return columns;
}

std::vector<OwnedBatch> accuracy_rows(const std::vector<AreaAccuracy>& areas, Compat compat)
{
    AreaValues rows;
    for (const AreaAccuracy& area : areas) {
        const AreaValues values = values_of(area, compat);
        for (std::size_t column = 0; column < rows.size(); ++column)
            rows[column].insert(rows[column].end(), values[column].begin(), values[column].end());
    }
    std::vector<OwnedBatch> batches;
    for (std::size_t column = 0; column < rows.size(); ++column) {
        Shape shape{1, extent(areas.size())};
        if (subject_columns[column].width != Width::area)
            shape = {1, extent(areas.size()),
                     extent(static_cast<std::size_t>(subject_columns[column].width))};
        batches.push_back(batch_of(rows[column], shape));
    }
    return batches;
}

SummaryRows accuracy_summary(const StageResults& results, std::size_t areas, std::uint64_t seed)
{
    SummaryRows summary;
    const auto add = [&](const std::vector<double>& values, Width width) {
        summary.emplace_back(
            ColumnId{subject_column_count + static_cast<std::uint32_t>(summary.size())},
            batch_of(values, shape_of(width, areas)));
    };
    for (const MeanColumn& column : mean_columns) {
        const Width width = subject_columns[column.of].width;
        const std::size_t cells = areas * static_cast<std::size_t>(width);
        std::array<std::vector<double>, 3> parts;
        for (std::size_t cell = 0; cell < cells; ++cell) {
            const SubjectMean mean =
                mean_over_subjects(over_subjects(results, column.of, cells, cell));
            parts[0].push_back(mean.mean);
            parts[1].push_back(mean.low);
            parts[2].push_back(mean.high);
        }
        for (const auto& part : parts) add(part, width);
    }
    const std::size_t cells = areas * comparisons;
    std::array<std::vector<double>, 3> tests;
    for (std::size_t cell = 0; cell < cells; ++cell) {
        const SubjectCount count =
            count_subjects(over_subjects(results, significant, cells, cell), true);
        tests[0].push_back(count.significant);
        tests[1].push_back(count.binomial_p);
        tests[2].push_back(
            subject_p(over_subjects(results, noise_effect, cells, cell), seed, cell));
    }
    for (const auto& test : tests) add(test, Width::comparison);
    return summary;
}

std::vector<std::string> accuracy_report(const StageResults& results,
                                         const std::vector<std::string>& subjects,
                                         const std::vector<std::string>& areas, Compat compat)
{
    const Stored stored{results};
    std::vector<std::string> lines{
        "accuracy: explained share of the explainable variance, mean over units; over subjects "
        "mean [95 % interval]"};
    for (std::size_t area = 0; area < areas.size(); ++area)
        lines.push_back(accuracy_line(stored, areas[area], area));
    lines.emplace_back(
        "noise analysis: a single trial predicted by another trial, the mean of two others, the "
        "prediction; differences, subjects where they are significant");
    for (std::size_t area = 0; area < areas.size(); ++area)
        if (!std::isnan(stored.mean(3, 0)[area * kinds]))
            lines.push_back(noise_lines(stored, areas[area], area));
    add_remarks(lines, stored, subjects, areas, compat);
    return lines;
}

}  // namespace twinscreen
