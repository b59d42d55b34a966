#include <algorithm>
#include <fstream>

#include <fmt/ranges.h>

#include "engine/config/csv.hpp"
#include "engine/run/response_stream.hpp"
#include "experiments/examples.hpp"
#include "experiments/experiments.hpp"
#include "experiments/recording.hpp"
#include "experiments/statistics.hpp"
#include "experiments/unit_score.hpp"

namespace twinscreen {
namespace {

constexpr const char* stage_name = "predictions";
struct Settings {
    std::filesystem::path responses;
    std::string layout;
    ScoreSettings score;
};

/// Predicted against recorded responses, with noise ceilings where repeats exist and the trivial
/// baselines beside every score.
class EncodingScore final : public Experiment {
public:
    explicit EncodingScore(Settings settings) : settings_(std::move(settings)) {}

    void check(ConfigSection& section, const CampaignInputs& inputs) override
    {
        try {
            recording_ =
                read_recording(settings_.responses, settings_.layout, inputs.stimuli->count());
            match_neurons(inputs);
        } catch (const Error& error) {
            section.complain("responses", error.what());
        }
        settle_ranges(section, inputs);
    }

    std::optional<StagePlan> next_stage(const CampaignInputs& inputs,
                                        const StageHistory& history) override
    {
        if (history.has(stage_name)) return std::nullopt;
        seed_ = inputs.seed;
        StagePlan stage;
        const ForwardWants wants{!inputs.twins.empty(), false};
        stage.forward = std::make_shared<ForwardPlan>(inputs.twins, inputs.covariates, wants);
        units_ = inputs.twins.empty() ? neuron_table() : stage.forward->units();
        areas_ = stage.forward->areas();
        has_twins_ = !inputs.twins.empty();
        declare(stage);
        stage.plan = plan_stimulus_stage(stage_name, inputs, *stage.forward,
                                         units_.rows() * sizeof(float) + sizeof(double), 0);
        stage.tables.items = stage.plan.items;
        describe_stimuli(inputs, stage.tables);
        const ItemSpan& scored = settings_.score.score;
        const ItemSpan& fitted = settings_.score.fit;
        stage.settings = {
            {"recording", recording_.digest},
            {"layout", settings_.layout},
            {"scored items", fmt::format("{} to {}", scored.first, scored.end)},
            {"fit items", fmt::format("{} to {}", fitted.first, fitted.end)},
            {"resamples",
             fmt::format("{} bootstrap, {} halvings, {}", settings_.score.resamples,
                         settings_.score.halvings, settings_.score.affine ? "affine" : "as is")}};
        return stage;
    }

    void run_shard(const Shard& shard, ShardTools& tools) override
    {
        const auto rows = static_cast<std::int64_t>(shard.items.count);
        const auto units = static_cast<std::int64_t>(has_twins_ ? units_.rows() : 0);
        OwnedBatch predicted(ElementType::f32, {rows, units});
        OwnedBatch luminance(ElementType::f64, {rows});
        std::int64_t at = 0;
        ResponseStream responses(tools.inputs, tools.forward, tools.executor);
        while (const ResponseStream::Answer* batch = responses.next()) {
            const auto count = static_cast<std::int64_t>(batch->items.count);
            if (has_twins_)
                std::ranges::copy(values_of<float>(batch->units),
                                  values_of<float>(rows_of(predicted.view(), at, count)).begin());
            std::ranges::copy(batch->luminance, luminance.values<double>().begin() + at);
            at += count;
        }
        if (has_twins_) tools.write(predicted_, std::move(predicted));
        tools.write(luminance_, std::move(luminance));
    }

    SummaryRows combine(const StageResults& results) override
    {
        score_all(results);
        SummaryRows summary;
        for (const auto& [column, member] : score_ids_) {
            std::vector<double> values;
            for (const UnitScore& score : scores_) values.push_back(score.*member);
            summary.emplace_back(column, column_of(values));
        }
        for (const auto& [column, member] : median_ids_)
            summary.emplace_back(column, column_of(area_medians(member)));
        return summary;
    }

    std::vector<std::string> report(const StageResults& results, const CampaignInputs&,
                                    const std::filesystem::path& folder) override
    {
        if (scores_.empty()) read_scores(results);  // the store was complete already
        if (has_twins_) write_accuracy(folder / "accuracy.csv");
        const ItemSpan& scored = settings_.score.score;
        const ItemSpan& fitted = settings_.score.fit;
        std::vector<std::string> lines{
            fmt::format("scored items {} to {}; the luminance baseline is fitted on items {} to {}",
                        scored.first, scored.end - 1, fitted.first, fitted.end - 1)};
        if (fitted.first == scored.first) lines.back() += ": in-sample, so flattering";
        if (is_smoke_run_)
            lines.push_back("this is a smoke run on the first items: the scores mean nothing");
        if (has_twins_)
            for (std::size_t area = 0; area < areas_.rows(); ++area)
                lines.push_back(area_line(area));
        else
            lines.push_back(ceiling_line("all neurons", all_units()));
        if (recording_.repeats == 1)
            lines.push_back(
                "the recording has no repeats: noise ceilings are unknown, r stands alone");
        return lines;
    }

private:
    /// A smoke run has too few items for the ranges of the campaign: its first half is fitted and
    /// its second half scored.
    void settle_ranges(ConfigSection& section, const CampaignInputs& inputs)
    {
        const std::uint64_t items = inputs.items();
        ItemSpan& scored = settings_.score.score;
        ItemSpan& fitted = settings_.score.fit;
        if (scored.end == 0) scored = {0, items};
        if (fitted.end == 0) fitted = scored;
        const bool fits = scored.end <= items && fitted.end <= items;
        if (!fits && inputs.schedule.limit > 0) {
            fitted = {0, items / 2};
            scored = {items / 2, items};
            is_smoke_run_ = true;
        } else if (!fits) {
            section.complain(scored.end > items ? "score_items" : "fit_items",
                             fmt::format("the campaign has {} items", items));
        }
        if (items < 4) section.complain("responses", "a score needs at least 4 items");
    }

    Table neuron_table() const
    {
        std::vector<std::string> ids;
        for (std::size_t neuron = 0; neuron < recording_.neurons; ++neuron)
            ids.push_back(fmt::format("neuron {}", neuron));
        return {{{"id", "", std::move(ids)}}};
    }

    /// Each twin's units stand for rows of the recording: by the column `neuron` of the unit
    /// table, or one by one where there are as many.
    void match_neurons(const CampaignInputs& inputs)
    {
        neuron_of_unit_.clear();
        if (inputs.twins.empty()) {
            for (std::size_t neuron = 0; neuron < recording_.neurons; ++neuron)
                neuron_of_unit_.push_back(neuron);
            return;
        }
        for (const Twin& twin : inputs.twins) {
            const TableColumn* column = twin.units.find("neuron");
            const bool by_column = column != nullptr && !column->is_text();
            TWINSCREEN_REQUIRE(
                by_column || twin.units.rows() == recording_.neurons, data,
                "twin '{}' has {} units, {} has {} neurons: a unit table without a column "
                "'neuron' needs one unit per neuron (choose them with units = \"...\")",
                twin.spec.name, twin.units.rows(), settings_.responses.string(),
                recording_.neurons);
            for (std::size_t unit = 0; unit < twin.units.rows(); ++unit) {
                const double row =
                    by_column ? twin.units.number("neuron", unit) : static_cast<double>(unit);
                TWINSCREEN_REQUIRE(row >= 0 && row < static_cast<double>(recording_.neurons), data,
                                   "twin '{}': unit '{}' stands for row {} of the recording, which "
                                   "has {} rows (choose the units of this recording with units = "
                                   "\"...\")",
                                   twin.spec.name, twin.units.text("id", unit), row,
                                   recording_.neurons);
                neuron_of_unit_.push_back(static_cast<std::size_t>(row));
            }
        }
    }

    void declare(StagePlan& stage)
    {
        const Axis unit{"unit", static_cast<std::int64_t>(units_.rows()), ""};
        const auto add = [&](ColumnSpec column) {
            stage.columns.push_back(std::move(column));
            return ColumnId{static_cast<std::uint32_t>(stage.columns.size() - 1)};
        };
        if (has_twins_)
            predicted_ = add({"predicted",
                              Domain::item,
                              ElementType::f32,
                              {unit},
                              stage.forward->response_unit(),
                              "predicted response"});
        luminance_ = add({"luminance",
                          Domain::item,
                          ElementType::f64,
                          {},
                          "level 0..255",
                          "mean pixel value of the picture over height, width and channels"});
        score_ids_.clear();
        median_ids_.clear();
        const std::vector<ScoreColumn> wanted = score_columns(recording_.repeats);
        for (const ScoreColumn& column : wanted)
            score_ids_.emplace_back(
                add({column.name, Domain::stage, ElementType::f64, {unit}, "", column.text}),
                column.value);
        stage.tables.axes = {{"units", "unit", units_}};
        if (!has_twins_) return;
        const Axis area{"area", static_cast<std::int64_t>(areas_.rows()), ""};
        stage.tables.axes.push_back({"areas", "area", areas_});
        for (const ScoreColumn& column : wanted)
            median_ids_.emplace_back(add({fmt::format("median_{}", column.name),
                                          Domain::stage,
                                          ElementType::f64,
                                          {area},
                                          "",
                                          fmt::format("median over units of {}", column.name)}),
                                     column.value);
    }

    static OwnedBatch column_of(const std::vector<double>& values)
    {
        OwnedBatch result(ElementType::f64, {static_cast<std::int64_t>(values.size())});
        std::ranges::copy(values, result.values<double>().begin());
        return result;
    }

    void score_all(const StageResults& results)
    {
        const std::uint64_t items = results.plan().items;
        const OwnedBatch luminance = results.read(luminance_, 0, items);
        OwnedBatch predicted(ElementType::f32, {0, 0});
        if (has_twins_) predicted = results.read(predicted_, 0, items);
        const ScoreSettings& settings = settings_.score;
        const auto resamples = draw_resamples(static_cast<std::uint32_t>(settings.score.count()),
                                              settings.resamples, seed_);
        const ScoreInputs inputs{settings, recording_, luminance.values<double>(), resamples,
                                 seed_};
        scores_.clear();
        for (std::size_t unit = 0; unit < units_.rows(); ++unit) {
            results.check_stop();
            std::vector<double> prediction(has_twins_ ? items : 0);
            for (std::size_t item = 0; item < prediction.size(); ++item)
                prediction[item] =
                    static_cast<double>(predicted.values<float>()[item * units_.rows() + unit]);
            scores_.push_back(score_unit(inputs, neuron_of_unit_[unit], std::move(prediction)));
        }
    }

    /// The scores as the summary holds them.
    void read_scores(const StageResults& results)
    {
        scores_.assign(units_.rows(), unknown_score());
        for (const auto& [column, member] : score_ids_) {
            const OwnedBatch values = results.read(column, 0, 1);
            for (std::size_t unit = 0; unit < units_.rows(); ++unit)
                scores_[unit].*member = values.values<double>()[unit];
        }
    }

    /// What converters take as held-out accuracy: twin, id, heldout_r, its interval, the baseline.
    void write_accuracy(const std::filesystem::path& file) const
    {
        std::ofstream stream(file);
        stream << "twin,id,heldout_r,r_low,r_high,r_luminance\n";
        for (std::size_t unit = 0; unit < units_.rows(); ++unit) {
            const UnitScore& score = scores_[unit];
            stream << fmt::format("{},{},{:.6f},{:.6f},{:.6f},{:.6f}\n",
                                  csv_cell(units_.text("twin", unit)),
                                  csv_cell(units_.text("id", unit)), score.r, score.r_low,
                                  score.r_high, score.r_luminance);
        }
        TWINSCREEN_REQUIRE(stream.good(), store, "{}: cannot be written", file.string());
    }

    std::vector<std::size_t> all_units() const
    {
        std::vector<std::size_t> units(scores_.size());
        for (std::size_t unit = 0; unit < units.size(); ++unit) units[unit] = unit;
        return units;
    }

    std::vector<std::size_t> units_of_area(std::size_t area) const
    {
        std::vector<std::size_t> units;
        for (std::size_t unit = 0; unit < units_.rows(); ++unit)
            if (units_.text("twin", unit) == areas_.text("twin", area) &&
                units_.text("subject", unit) == areas_.text("subject", area) &&
                units_.text("area", unit) == areas_.text("area", area))
                units.push_back(unit);
        return units;
    }

    double median_over(const std::vector<std::size_t>& units, double UnitScore::*member) const
    {
        std::vector<double> values;
        for (const std::size_t unit : units) values.push_back(scores_[unit].*member);
        return median(std::move(values));
    }

    std::vector<double> area_medians(double UnitScore::*member) const
    {
        std::vector<double> medians;
        for (std::size_t area = 0; area < areas_.rows(); ++area)
            medians.push_back(median_over(units_of_area(area), member));
        return medians;
    }

    std::string area_line(std::size_t area) const
    {
        const std::vector<std::size_t> units = units_of_area(area);
        std::string line = fmt::format(
            "{}, subject {}, {}: median r {:.3f} over {} units (baselines: mean luminance {:.3f}, "
            "constant 0)",
            areas_.text("twin", area), areas_.text("subject", area), areas_.text("area", area),
            median_over(units, &UnitScore::r), units.size(),
            median_over(units, &UnitScore::r_luminance));
        if (recording_.repeats > 1)
            line += fmt::format("; median cc_norm {:.3f}, feve {:.3f}",
                                median_over(units, &UnitScore::cc_norm),
                                median_over(units, &UnitScore::feve)) +
                    "; " + ceiling_line("ceilings", units);
        return line;
    }

    std::string ceiling_line(const std::string& who, const std::vector<std::size_t>& units) const
    {
        return fmt::format(
            "{}: median cc_max {:.3f}, split-half reliability {:.3f}, explainable variance {:.3f} "
            "(baseline mean luminance r {:.3f})",
            who, median_over(units, &UnitScore::cc_max), median_over(units, &UnitScore::split_half),
            median_over(units, &UnitScore::fev), median_over(units, &UnitScore::r_luminance));
    }

    Settings settings_;
    std::uint64_t seed_ = 0;
    Recording recording_;
    Table units_;
    Table areas_;
    bool has_twins_ = false;
    bool is_smoke_run_ = false;
    std::vector<std::size_t> neuron_of_unit_;
    ColumnId predicted_{}, luminance_{};
    std::vector<std::pair<ColumnId, double UnitScore::*>> score_ids_;
    std::vector<std::pair<ColumnId, double UnitScore::*>> median_ids_;
    std::vector<UnitScore> scores_;
};

std::unique_ptr<Experiment> make_encoding_score(ConfigSection& section)
{
    Settings settings;
    settings.responses = section.require_existing_path("responses");
    settings.layout = section.one_of(
        "layout", "",
        {"", "units,items", "items,units", "units,items,repeats", "items,units,repeats"});
    settings.score.fit = read_item_span(section, "fit_items");
    settings.score.score = read_item_span(section, "score_items");
    settings.score.resamples = static_cast<std::uint32_t>(section.get_or<std::int64_t>(
        "bootstrap", 1000, "resamples", in_range<std::int64_t>(1, 100000)));
    settings.score.halvings = static_cast<std::uint32_t>(
        section.get_or<std::int64_t>("halvings", 100, "", in_range<std::int64_t>(1, 10000)));
    settings.score.affine = section.one_of("rescale", "none", {"none", "affine"}) == "affine";
    return std::make_unique<EncodingScore>(std::move(settings));
}

}  // namespace

void register_encoding_score(ExperimentRegistry& registry)
{
    registry.add({"encoding_score",
                  "predicted against recorded responses: Pearson r with intervals, noise ceilings "
                  "where repeats exist, trivial baselines",
                  encoding_score_example, make_encoding_score, false});
}

}  // namespace twinscreen
