#include <algorithm>

#include <fmt/ranges.h>

#include "engine/run/response_stream.hpp"
#include "experiments/examples.hpp"
#include "experiments/experiments.hpp"
#include "experiments/screen_measures.hpp"
#include "experiments/top_sheet.hpp"
#include "kernels/histogram.hpp"

namespace twinscreen {
namespace {

constexpr const char* stage_name = "responses";

/// Responses of any twins to any stimuli, reduced as asked, in one pass.
class Screen final : public Experiment {
public:
    Screen(std::vector<std::unique_ptr<Measure>> measures, Identity settings)
        : measures_(std::move(measures)), settings_(std::move(settings))
    {
    }

    void check(ConfigSection& section, const CampaignInputs& inputs) override
    {
        const ForwardPlan forward(inputs.twins, inputs.covariates, {false, false});
        for (const auto& measure : measures_) {
            try {
                measure->check(forward.units());
            } catch (const Error& error) {
                section.complain("stored_units", error.what());
            }
        }
    }

    std::optional<StagePlan> next_stage(const CampaignInputs& inputs,
                                        const StageHistory& history) override
    {
        if (history.has(stage_name)) return std::nullopt;
        StagePlan stage;
        stage.forward = std::make_shared<ForwardPlan>(
            inputs.twins, inputs.covariates, wanted_by([](const Measure&) { return true; }));
        stage.tables.axes = {{"units", "unit", stage.forward->units()},
                             {"areas", "area", stage.forward->areas()}};
        areas_table_ = stage.forward->areas();
        columns_.clear();
        for (const auto& measure : measures_)
            measure->declare(*stage.forward, columns_, stage.tables.axes);
        stage.columns = columns_;
        stage.plan = plan_stimulus_stage(stage_name, inputs, *stage.forward, bytes_in(Domain::item),
                                         bytes_in(Domain::shard));
        stage.tables.items = stage.plan.items;
        describe_stimuli(inputs, stage.tables);
        stage.settings = settings_;
        // What measures gather there is about as large as what they write of a shard.
        stage.device_bytes = 2 * bytes_in(Domain::shard);
        return stage;
    }

    void run_shard(const Shard& shard, ShardTools& tools) override
    {
        for (const auto& measure : measures_) measure->start(shard, tools.executor);
        const bool fold_there = tools.executor.wants_whole_batches();
        const Folding folding{[this](ItemRange items, ConstBatch units, ConstBatch areas) {
                                  for (const auto& measure : measures_)
                                      if (measure->folds()) measure->add({items, units, areas});
                              },
                              wanted_by([](const Measure& measure) { return !measure.folds(); })};
        ResponseStream responses(tools.inputs, tools.forward, tools.executor,
                                 fold_there ? &folding : nullptr);
        while (const ResponseStream::Answer* batch = responses.next())
            for (const auto& measure : measures_)
                if (!fold_there || !measure->folds())
                    measure->add({batch->items, batch->units, batch->areas});
        for (const auto& measure : measures_) measure->finish(tools.write);
    }

    SummaryRows combine(const StageResults& results) override
    {
        SummaryRows summary;
        for (const auto& measure : measures_) measure->combine(results, summary);
        return summary;
    }

    std::vector<std::string> report(const StageResults& results, const CampaignInputs& inputs,
                                    const std::filesystem::path& folder) override
    {
        return write_top_sheet(results, columns_, areas_table_, inputs, folder);
    }

private:
    ForwardWants wanted_by(bool (*counts)(const Measure&)) const
    {
        ForwardWants wants;
        for (const auto& measure : measures_) {
            if (!counts(*measure)) continue;
            wants.units = wants.units || measure->wants().units;
            wants.areas = wants.areas || measure->wants().areas;
        }
        return wants;
    }

    std::size_t bytes_in(Domain domain) const
    {
        std::size_t bytes = 0;
        for (const ColumnSpec& column : columns_)
            if (column.domain == domain) bytes += column.row_bytes();
        return bytes;
    }

    std::vector<std::unique_ptr<Measure>> measures_;
    Identity settings_;
    std::vector<ColumnSpec> columns_;
    Table areas_table_;
};

const std::vector<std::string> known_measures{"units", "area_mean", "moments", "top_k",
                                              "histogram"};

std::vector<float> read_edges(ConfigSection& section)
{
    ConfigSection histogram = section.child("histogram");
    const auto low = histogram.require<double>("from");
    const auto high = histogram.require<double>("to", "", above(low));
    const auto bins =
        histogram.require<std::int64_t>("bins", "bins", in_range<std::int64_t>(1, 65536));
    histogram.reject_unknown_keys();
    if (histogram.has_mistakes()) return {0.0F, 1.0F};
    return Histogram::even_edges(static_cast<float>(low), static_cast<float>(high),
                                 static_cast<std::size_t>(bins));
}

std::unique_ptr<Experiment> make_screen(ConfigSection& section)
{
    const auto names = section.get_or<std::vector<std::string>>("measures", {"area_mean", "top_k"});
    const std::string type = section.one_of("units_type", "float32", {"float32", "float16"});
    const auto stored = section.get_or<std::string>("stored_units", "");
    const auto kept = static_cast<std::size_t>(
        section.get_or<std::int64_t>("top_k", 10, "items", in_range<std::int64_t>(1, 10000)));
    const std::string over = section.one_of("top_k_of", "areas", {"areas", "units", "both"});

    std::vector<std::unique_ptr<Measure>> measures;
    std::string bins;
    for (const std::string& name : names) {
        if (std::count(names.begin(), names.end(), name) > 1)
            section.complain("measures", fmt::format("measure \"{}\" is listed twice", name));
        if (name == "units") {
            measures.push_back(
                make_unit_measure(type == "float16" ? ElementType::f16 : ElementType::f32, stored));
        } else if (name == "area_mean") {
            measures.push_back(make_area_mean_measure());
        } else if (name == "moments") {
            measures.push_back(make_moment_measure());
        } else if (name == "top_k") {
            if (over != "units") measures.push_back(make_top_measure(RankedOver::areas, kept));
            if (over != "areas") measures.push_back(make_top_measure(RankedOver::units, kept));
        } else if (name == "histogram") {
            std::vector<float> edges = read_edges(section);
            bins =
                fmt::format("{} bins from {} to {}", edges.size() - 1, edges.front(), edges.back());
            measures.push_back(make_histogram_measure(std::move(edges)));
        } else {
            const auto nearest = nearest_word(name, known_measures);
            section.complain("measures",
                             fmt::format("unknown measure \"{}\" (expected {})", name,
                                         fmt::join(known_measures, ", ")),
                             nearest ? fmt::format("did you mean \"{}\"?", *nearest) : "");
        }
    }
    if (names.empty()) section.complain("measures", "measures is empty: nothing would be recorded");
    if (section.has("histogram") && std::count(names.begin(), names.end(), "histogram") == 0)
        section.complain("histogram", "bins are given, but measures does not list \"histogram\"");
    Identity settings{{"measures", fmt::format("{}", fmt::join(names, ", "))},
                      {"stored_units", stored},
                      {"top_k_of", over}};
    if (!bins.empty()) settings.emplace_back("histogram", bins);
    return std::make_unique<Screen>(std::move(measures), std::move(settings));
}

}  // namespace

void register_screen(ExperimentRegistry& registry)
{
    registry.add({"screen",
                  "responses of any twins to any stimuli: units, area means, moments, top-k, "
                  "histograms, in one pass",
                  screen_example, make_screen, true});
}

}  // namespace twinscreen
