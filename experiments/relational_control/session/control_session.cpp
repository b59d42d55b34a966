#include <algorithm>

#include "engine/base/digest.hpp"
#include "engine/base/read_file.hpp"
#include "engine/run/progress.hpp"
#include "experiments/examples.hpp"
#include "experiments/experiments.hpp"
#include "experiments/relational_control/columns.hpp"
#include "experiments/relational_control/session/session_statistics.hpp"
#include "experiments/relational_control/statistics/group_statistics.hpp"
#include "experiments/relational_control/statistics/subject_summary.hpp"

namespace twinscreen {
namespace {

constexpr const char* stage_name = "control_session";

/// Files of one subject.
struct SubjectFiles {
    std::string subject;
    std::filesystem::path trials;
    std::array<std::filesystem::path, 2> betas;
};

struct Settings {
    std::filesystem::path images;
    std::array<std::string, 2> areas;
    double ceiling = 0.4;
    std::uint32_t permutations = 100'000;
    std::vector<SubjectFiles> subjects;
};

/// What a row of the results is: a condition in one area, or an objective.
struct Row {
    std::string condition;
    std::string area;
};

/// Recorded responses to the pictures of a session: do the sets control real areas? One item for
/// each subject; rows are conditions x areas (univariate), or objectives (multivariate).
class ControlSession final : public Experiment {
public:
    explicit ControlSession(Settings settings) : settings_(std::move(settings)) {}

    void check(ConfigSection& section, const CampaignInputs&) override
    {
        try {
            design_ = read_session_design(settings_.images);
        } catch (const Error& error) {
            section.complain("images", error.what());
            return;
        }
        const auto& shown = design_.areas;
        if (shown[0] != shown[1] && shown[0] == settings_.areas[1] &&
            shown[1] == settings_.areas[0])
            section.complain("areas",
                             fmt::format("the pictures were chosen for first '{}', then '{}'",
                                         shown[0], shown[1]),
                             fmt::format("areas = [\"{}\", \"{}\"], and first_area has the "
                                         "responses of '{}'",
                                         shown[0], shown[1], shown[0]));
        std::vector<ConfigSection> sections = section.children("recordings");
        for (std::size_t at = 0; at < settings_.subjects.size(); ++at) {
            try {
                static_cast<void>(read(at));
            } catch (const Error& error) {
                sections[at].complain("subject", error.what());
            }
        }
        rows_.clear();
        if (design_.is_univariate())
            for (const char* condition : condition_names)
                for (const std::string& area : settings_.areas) rows_.push_back({condition, area});
        else
            rows_ = {{"align", "both"}, {"disentangle", "both"}};
    }

    std::optional<StagePlan> next_stage(const CampaignInputs& inputs,
                                        const StageHistory& history) override
    {
        if (history.has(stage_name)) return std::nullopt;
        StagePlan stage = plan_without_stimuli("subjects");
        stage.plan.stage = stage_name;
        stage.plan.items = settings_.subjects.size();
        stage.plan.threads_per_rank = inputs.schedule.threads_per_rank;
        const Axis row = axis_of("row", rows_.size());
        const auto add = [&](const char* name, Domain domain, std::vector<Axis> axes,
                             const char* text) {
            stage.columns.push_back({name, domain, ElementType::f64, std::move(axes), "", text});
        };
        add("effect", Domain::item, {row},
            "mean response (univariate) or agreement (multivariate) minus that of the baseline");
        add("p", Domain::item, {row}, "permutation p of the effect, one-sided");
        add("significant", Domain::item, {row},
            "1 where p passes Benjamini and Hochberg at 0.05 over the rows of a subject");
        add("null_mean", Domain::item, {row}, "mean effect over permutations");
        add("null_sd", Domain::item, {row}, "standard deviation over permutations");
        add("kept_units", Domain::item, {axis_of("area", 2)}, "units above the ceiling");
        add("mean_effect", Domain::stage, {row}, "mean over subjects");
        add("effect_low", Domain::stage, {row}, "lower bound of its 95 % bootstrap interval");
        add("effect_high", Domain::stage, {row}, "upper bound of its 95 % bootstrap interval");
        add("significant_subjects", Domain::stage, {row}, "subjects with a significant effect");
        add("binomial_p", Domain::stage, {row},
            "chance of so many without an effect; NaN below three subjects");
        stage.tables.axes = {
            {"rows", "row", row_table()},
            {"areas", "area",
             Table{{{"name", "",
                     std::vector<std::string>(settings_.areas.begin(), settings_.areas.end())}}}}};
        stage.tables.items = stage.plan.items;
        stage.tables.describe_items = [this](ItemRange items) {
            std::vector<std::string> names;
            for (std::uint64_t at = 0; at < items.count; ++at)
                names.push_back(settings_.subjects[index_of(items.first) + at].subject);
            return Table{{{"subject", "", std::move(names)}}};
        };
        stage.settings = {{"files", files_digest()},
                          {"ceiling", fmt::format("{}", settings_.ceiling)},
                          {"permutations", std::to_string(settings_.permutations)}};
        return stage;
    }

    ItemRange reads(const Shard&) const override { return {}; }

    void run_shard(const Shard& shard, ShardTools& tools) override
    {
        const auto item = static_cast<std::uint32_t>(index_of(shard.items.first));
        const RecordedSession session = read(item);
        const PermutationBlock block{tools.seed, item, 0, settings_.permutations};
        std::vector<PermutationTest> tests;
        if (design_.is_univariate()) {
            for (const auto& of_areas : test_mean_control(session, design_, block))
                tests.insert(tests.end(), of_areas.begin(), of_areas.end());
        } else {
            const SimilarityControl control = test_similarity_control(session, design_, block);
            tests.assign(control.tests.begin(), control.tests.end());
        }
        std::array<std::vector<double>, 5> values;
        for (const PermutationTest& test : tests) {
            values[0].push_back(test.observed);
            values[1].push_back(test.p());
            values[3].push_back(test.mean());
            values[4].push_back(test.sd());
        }
        const std::vector<bool> rejected = rejected_at_fdr(values[1]);
        for (std::size_t row = 0; row < rows_.size(); ++row)
            values[2].push_back(mark_of(rejected[row], values[1][row]));
        for (std::uint32_t column = 0; column < values.size(); ++column)
            tools.write(ColumnId{column}, batch_of(values[column], {1, extent(rows_.size())}));
        const std::array<double, 2> kept{static_cast<double>(session.areas[0].units),
                                         static_cast<double>(session.areas[1].units)};
        tools.write(ColumnId{5}, batch_of(kept, {1, 2}));
    }

    SummaryRows combine(const StageResults& results) override
    {
        std::array<std::vector<double>, 5> group;
        for (std::size_t row = 0; row < rows_.size(); ++row) {
            const SubjectMean effect = mean_over_subjects(over_subjects(results, 0, row));
            const SubjectCount count = count_subjects(over_subjects(results, 2, row), true);
            std::size_t column = 0;
            for (const double value :
                 {effect.mean, effect.low, effect.high, count.significant, count.binomial_p})
                group[column++].push_back(value);
        }
        SummaryRows summary;
        for (std::uint32_t column = 0; column < group.size(); ++column)
            summary.emplace_back(ColumnId{6 + column},
                                 batch_of(group[column], {extent(rows_.size())}));
        return summary;
    }

    std::vector<std::string> report(const StageResults& results, const CampaignInputs&,
                                    const std::filesystem::path&) override
    {
        const auto read_group = [&](std::uint32_t column) {
            return numbers_of(results.read(ColumnId{6 + column}, 0, 1));
        };
        const std::vector<double> effect = read_group(0), low = read_group(1), high = read_group(2),
                                  significant = read_group(3), binomial = read_group(4);
        std::vector<std::string> lines{
            fmt::format("effects on {} recorded subjects against their baselines, mean [95 % "
                        "interval]; significant subjects",
                        settings_.subjects.size())};
        for (std::size_t row = 0; row < rows_.size(); ++row)
            lines.push_back(fmt::format(
                "  {:<12} {:<10} {:+.4f} [{:+.4f}, {:+.4f}]; {:.0f}{}", rows_[row].condition,
                rows_[row].area, effect[row], low[row], high[row], significant[row],
                binomial[row] == binomial[row] ? fmt::format(", binomial p {:.2g}", binomial[row])
                                               : ""));
        return lines;
    }

private:
    RecordedSession read(std::size_t subject) const
    {
        const SubjectFiles& files = settings_.subjects[subject];
        return read_recorded_session(files.trials, files.betas, design_, settings_.ceiling);
    }

    Table row_table() const
    {
        std::vector<std::string> conditions, areas;
        for (const Row& row : rows_) {
            conditions.push_back(row.condition);
            areas.push_back(row.area);
        }
        return {{{"condition", "", std::move(conditions)}, {"area", "", std::move(areas)}}};
    }

    /// Values of one column in one row, of every subject.
    std::vector<double> over_subjects(const StageResults& results, std::uint32_t column,
                                      std::size_t row) const
    {
        const std::vector<double> all =
            numbers_of(results.read(ColumnId{column}, 0, settings_.subjects.size()));
        std::vector<double> values;
        for (std::size_t subject = 0; subject < settings_.subjects.size(); ++subject)
            values.push_back(all[subject * rows_.size() + row]);
        return values;
    }

    std::string files_digest() const
    {
        Digest all;
        const auto add = [&](const std::filesystem::path& path) {
            const ReadFile file(path);
            std::vector<std::byte> bytes(file.size());
            file.read(0, bytes);
            all.add_bytes(bytes);
        };
        add(settings_.images);
        for (const SubjectFiles& files : settings_.subjects) {
            all.add(files.subject);
            add(files.trials);
            for (const auto& betas : files.betas) add(betas);
        }
        return all.hex();
    }

    Settings settings_;
    SessionDesign design_;
    std::vector<Row> rows_;
};

/// Two entries, or a complaint.
template <class T>
std::array<T, 2> read_two(ConfigSection& section, const char* key)
{
    const Rule<std::vector<std::string>> two{
        [](const std::vector<std::string>& values) { return values.size() == 2; },
        "two texts, one for each area"};
    const auto values = section.require<std::vector<std::string>>(key, "", two);
    return values.size() == 2 ? std::array<T, 2>{values[0], values[1]} : std::array<T, 2>{};
}

std::unique_ptr<Experiment> make_control_session(ConfigSection& section)
{
    Settings settings;
    settings.images = section.require_existing_path("images");
    settings.areas = read_two<std::string>(section, "areas");
    settings.ceiling =
        section.get_or<double>("ceiling_above", settings.ceiling, "", in_range(0.0, 1000.0));
    settings.permutations = static_cast<std::uint32_t>(section.get_or<std::int64_t>(
        "permutations", settings.permutations, "", in_range<std::int64_t>(100, 1 << 30)));
    for (ConfigSection& one : section.children("recordings")) {
        SubjectFiles files;
        files.subject = one.require<std::string>("subject");
        files.trials = one.require_existing_path("trials");
        files.betas = {one.require_existing_path("first_area"),
                       one.require_existing_path("second_area")};
        one.reject_unknown_keys();
        for (const SubjectFiles& other : settings.subjects)
            if (other.subject == files.subject)
                one.complain("subject", fmt::format("subject '{}' is given twice", files.subject));
        settings.subjects.push_back(std::move(files));
    }
    if (settings.subjects.empty())
        section.complain("recordings", "no subject was recorded",
                         "[[control_session.recordings]] names the files of one");
    return std::make_unique<ControlSession>(std::move(settings));
}

}  // namespace

void register_control_session(ExperimentRegistry& registry)
{
    registry.add({"control_session",
                  "recorded responses to the pictures of relational control: do they control real "
                  "areas?",
                  control_session_example, make_control_session, false, false});
}

}  // namespace twinscreen
