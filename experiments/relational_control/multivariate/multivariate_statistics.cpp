#include "experiments/relational_control/multivariate/multivariate_statistics.hpp"

#include <limits>

#include "engine/run/progress.hpp"
#include "experiments/relational_control/columns.hpp"
#include "experiments/relational_control/multivariate/multivariate_baseline.hpp"
#include "experiments/relational_control/multivariate/multivariate_search.hpp"
#include "experiments/relational_control/statistics/group_statistics.hpp"
#include "experiments/relational_control/statistics/subject_summary.hpp"
#include "experiments/statistics.hpp"

namespace twinscreen {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

/// Columns with one value for each objective.
enum CaseColumn : std::uint32_t {
    agreement,
    effect,
    p,
    significant,
    null_mean,
    null_sd,
    p_other,
    case_columns
};
struct ColumnText {
    const char* name;
    const char* text;
};
constexpr std::array<ColumnText, case_columns> case_texts{{
    {"agreement", "agreement of the found set in the test subject"},
    {"effect", "agreement of the found set minus that of the baseline set, in the test subject"},
    {"p",
     "p of the effect against differences between random sets, one-sided: align above, "
     "disentangle below"},
    {"significant",
     "1 where p passes Benjamini and Hochberg at 0.05 over the two of a subject; NaN: no test"},
    {"null_mean", "mean difference between random sets"},
    {"null_sd", "standard deviation of the differences between random sets"},
    {"p_other", "p as the other setting of compat would have it"},
}};
constexpr ColumnId baseline_column{case_columns};
constexpr std::uint32_t first_summary = case_columns + 1;

enum GroupColumn : std::uint32_t {
    mean_agreement,
    agreement_low,
    agreement_high,
    mean_effect,
    effect_low,
    effect_high,
    significant_subjects,
    binomial_p,
    group_columns
};
constexpr std::array<ColumnText, group_columns> group_texts{{
    {"mean_agreement", "mean agreement over test subjects"},
    {"agreement_low", "lower bound of the 95 % bootstrap interval of the mean agreement"},
    {"agreement_high", "upper bound of the 95 % bootstrap interval of the mean agreement"},
    {"mean_effect", "mean effect over test subjects"},
    {"effect_low", "lower bound of the 95 % bootstrap interval of the mean effect"},
    {"effect_high", "upper bound of the 95 % bootstrap interval of the mean effect"},
    {"significant_subjects", "test subjects with a significant effect"},
    {"binomial_p",
     "chance of so many significant subjects without an effect; NaN below three "
     "subjects, or where test subjects share animals"},
}};

}  // namespace

PermutationTest test_against_draws(const DrawnAgreement& drawn, std::uint64_t permutations,
                                   Objective objective, double effect, Compat compat)
{
    const bool aligns = objective == Objective::align;
    std::uint64_t baseline = aligns ? 0 : 2, found = baseline + 1;
    if (compat == Compat::reference) {
        baseline = 0;
        found = aligns ? 1 : 2;
    }
    PermutationTest result;
    result.observed = effect;
    result.tail = aligns ? Tail::above : Tail::below;
    for (std::uint64_t at = 0; at < permutations; ++at)
        result.add(drawn.at(found * permutations + at) - drawn.at(baseline * permutations + at));
    return result;
}

MultivariateStatistics::Case MultivariateStatistics::case_of(std::uint64_t item) const
{
    return {item / study_.test_folds(), 1 + item % study_.test_folds()};
}

Table MultivariateStatistics::describe(ItemRange items) const
{
    std::vector<std::string> pairs, subjects;
    for (std::uint64_t at = 0; at < items.count; ++at) {
        const Case one = case_of(index_of(items.first) + at);
        pairs.push_back(study_.pair_name(one.pair));
        subjects.push_back(study_.subjects[*study_.folds[one.fold].test].name);
    }
    return {{{"pair", "", std::move(pairs)}, {"test_subject", "", std::move(subjects)}}};
}

StagePlan MultivariateStatistics::plan(const CampaignInputs& inputs, const StageHistory& history)
{
    nulls_ =
        static_cast<const float*>(history.map(MultivariateBaseline::stage_name, ColumnId{0}).data);
    found_ = read_found_test_scores(history);
    baseline_ = read_multivariate_baseline(history).test;
    StagePlan stage = plan_without_stimuli("tests");
    stage.plan.stage = stage_name;
    stage.plan.items = study_.pairs.size() * study_.test_folds();
    stage.plan.threads_per_rank = inputs.schedule.threads_per_rank;
    const Axis pair = axis_of("pair", study_.pairs.size());
    const Axis objective = axis_of("objective", objectives.size());
    const auto add = [&](const char* name, Domain domain, std::vector<Axis> row, const char* text) {
        stage.columns.push_back({name, domain, ElementType::f64, std::move(row), "", text});
    };
    for (const ColumnText& column : case_texts)
        add(column.name, Domain::item, {objective}, column.text);
    add("baseline", Domain::item, {}, "agreement of the baseline set in the test subject");
    for (const ColumnText& column : group_texts)
        add(column.name, Domain::stage, {pair, objective}, column.text);
    add("mean_baseline", Domain::stage, {pair}, "mean baseline over test subjects");
    stage.tables.axes = {{"pairs", "pair", study_.pair_table()},
                         {"objectives", "objective", objective_table()}};
    stage.tables.items = stage.plan.items;
    stage.tables.describe_items = [this](ItemRange items) { return describe(items); };
    stage.settings = {{"study", study_.digest()},
                      {"permutations", std::to_string(settings_.permutations)},
                      {"compat", compat_ == Compat::reference ? "reference" : "corrected"}};
    return stage;
}

PermutationTest MultivariateStatistics::test(const Case& one, std::size_t objective, double effect,
                                             Compat compat) const
{
    const std::size_t width = views_.views.size() * study_.pairs.size();
    const std::size_t column = views_.test[one.fold] * study_.pairs.size() + one.pair;
    return test_against_draws({nulls_ + column, width}, settings_.permutations,
                              objectives[objective], effect, compat);
}

void MultivariateStatistics::run(const Shard& shard, ShardTools& tools)
{
    const Case one = case_of(index_of(shard.items.first));
    const std::size_t cell = one.pair * study_.folds.size() + one.fold;
    const Compat other = compat_ == Compat::reference ? Compat::corrected : Compat::reference;
    std::array<std::array<double, objectives.size()>, case_columns> values;
    for (std::size_t at = 0; at < objectives.size(); ++at) {
        values[agreement][at] = found_[cell * objectives.size() + at];
        values[effect][at] = values[agreement][at] - baseline_[cell];
        const PermutationTest tested = test(one, at, values[effect][at], compat_);
        values[p][at] = tested.p();
        values[null_mean][at] = tested.mean();
        values[null_sd][at] = tested.sd();
        const bool has_other = settings_.permutations * null_slices(other) <= settings_.draws;
        values[p_other][at] = has_other ? test(one, at, values[effect][at], other).p() : nan;
    }
    const std::vector<bool> rejected = rejected_at_fdr(values[p]);
    for (std::size_t at = 0; at < objectives.size(); ++at)
        values[significant][at] = mark_of(rejected[at], values[p][at]);
    for (std::uint32_t column = 0; column < case_columns; ++column)
        tools.write(ColumnId{column}, batch_of(values[column], {1, extent(objectives.size())}));
    tools.write(baseline_column, batch_of(std::array<double, 1>{baseline_[cell]}, {1}));
}

SummaryRows MultivariateStatistics::combine(const StageResults& results)
{
    const std::size_t subjects = study_.test_folds(), pairs = study_.pairs.size();
    const auto over_subjects = [&](std::uint32_t column, std::size_t pair, std::size_t cell,
                                   std::size_t width) {
        const std::vector<double> all =
            numbers_of(results.read(ColumnId{column}, pair * subjects, subjects));
        std::vector<double> row;
        for (std::size_t subject = 0; subject < subjects; ++subject)
            row.push_back(all[subject * width + cell]);
        return row;
    };
    std::array<std::vector<double>, group_columns> group;
    std::vector<double> base;
    for (std::size_t pair = 0; pair < pairs; ++pair) {
        for (std::size_t at = 0; at < objectives.size(); ++at) {
            std::uint32_t column = mean_agreement;
            for (const std::uint32_t from : {agreement, effect}) {
                const SubjectMean mean =
                    mean_over_subjects(over_subjects(from, pair, at, objectives.size()));
                for (const double value : {mean.mean, mean.low, mean.high})
                    group[column++].push_back(value);
            }
            const SubjectCount count =
                count_subjects(over_subjects(significant, pair, at, objectives.size()), study_);
            group[significant_subjects].push_back(count.significant);
            group[binomial_p].push_back(count.binomial_p);
        }
        base.push_back(mean(over_subjects(index_of(baseline_column), pair, 0, 1)));
    }
    SummaryRows summary;
    std::uint32_t column = first_summary;
    for (const std::vector<double>& values : group)
        summary.emplace_back(ColumnId{column++},
                             batch_of(values, {extent(pairs), extent(objectives.size())}));
    summary.emplace_back(ColumnId{column}, batch_of(base, {extent(pairs)}));
    return summary;
}

std::vector<std::string> MultivariateStatistics::report(const StageResults& results,
                                                        const CampaignInputs&,
                                                        const std::filesystem::path&)
{
    std::array<std::vector<double>, group_columns> group;
    for (std::uint32_t column = 0; column < group_columns; ++column)
        group[column] = numbers_of(results.read(ColumnId{first_summary + column}, 0, 1));
    const std::vector<double> base =
        numbers_of(results.read(ColumnId{first_summary + group_columns}, 0, 1));
    const bool has_binomial = study_.has_independent_tests();
    std::vector<std::string> lines{
        fmt::format("agreement on {} held-out subject{}, one by one (single subjects are noisier "
                    "than averages), mean [95 % interval] from the baseline's; significant "
                    "subjects{}",
                    study_.test_folds(), study_.test_folds() == 1 ? "" : "s",
                    has_binomial ? ", binomial p" : "")};
    for (std::size_t at = 0; at < study_.pairs.size() * objectives.size(); ++at)
        lines.push_back(fmt::format(
            "  {:<22} {:<12} {:+.4f} [{:+.4f}, {:+.4f}] from {:+.4f}; {:.0f}{}",
            study_.pair_name(at / objectives.size()), objective_names[at % objectives.size()],
            group[mean_agreement][at], group[agreement_low][at], group[agreement_high][at],
            base[at / objectives.size()], group[significant_subjects][at],
            has_binomial ? fmt::format(", {:.2g}", group[binomial_p][at]) : ""));
    for (std::string& line : changed_verdicts(results)) lines.push_back(std::move(line));
    return lines;
}

/// Where the other setting of compat would have found otherwise.
std::vector<std::string> MultivariateStatistics::changed_verdicts(const StageResults& results) const
{
    const std::uint64_t items = results.plan().items;
    const std::vector<double> marks = numbers_of(results.read(ColumnId{significant}, 0, items));
    const std::vector<double> others = numbers_of(results.read(ColumnId{p_other}, 0, items));
    std::vector<std::string> lines;
    for (std::uint64_t item = 0; item < items; ++item) {
        const Case one = case_of(item);
        const std::string where = fmt::format("{} in {}", study_.pair_name(one.pair),
                                              study_.subjects[*study_.folds[one.fold].test].name);
        const std::size_t first = item * objectives.size();
        const auto changed = twinscreen::changed_verdicts(
            where, {objective_names.begin(), objective_names.end()},
            std::span(marks).subspan(first, objectives.size()),
            std::span(others).subspan(first, objectives.size()), compat_);
        lines.insert(lines.end(), changed.begin(), changed.end());
    }
    return lines;
}

std::string MultivariateStatistics::outlook() const
{
    return fmt::format("stage {}: {} pairs x {} test subjects, {} differences of random sets each",
                       stage_name, study_.pairs.size(), study_.test_folds(),
                       count_text(settings_.permutations));
}

}  // namespace twinscreen
