#include "experiments/fit_readout/fit_report.hpp"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>

#include "engine/base/error.hpp"
#include "engine/config/csv.hpp"
#include "experiments/fit_readout/score_chart.hpp"
#include "experiments/statistics.hpp"

namespace twinscreen {
namespace {

/// Values in the order of the tables; those that a recording has.
constexpr const char* value_order[] = {
    "r",      "r_low",    "r_high",     "r_untrained", "r_shuffled", "r_luminance",   "r_constant",
    "cc_max", "cc_norm",  "split_half", "fev",         "feve",       "validation_r2", "lambda",
    "choice", "intercept"};

std::vector<std::string> names_of(const FitReport& report)
{
    std::vector<std::string> names;
    for (const char* name : value_order)
        if (report.values.count(name) > 0) names.emplace_back(name);
    return names;
}

std::string name_of(const FitReport::Set& set)
{
    return set.subject.empty() || set.subject == set.twin
               ? fmt::format("{} {}", set.twin, set.layer)
               : fmt::format("{} {} {}", set.twin, set.subject, set.layer);
}

std::string set_line(const FitReport& report, std::size_t set)
{
    const double untrained = report.median_of("r_untrained", set);
    const std::vector<double>& r = report.values.at("r")[set];
    const auto known = std::ranges::count_if(r, [](double value) { return !std::isnan(value); });
    std::string line = fmt::format(
        "{} ({} features): median r {:.3f}{} (baselines: {}shuffled images {:.3f}, mean luminance "
        "{:.3f}, constant 0)",
        name_of(report.sets[set]), report.sets[set].features, report.median_of("r", set),
        known == std::ssize(r)
            ? std::string()
            : fmt::format(" over {} of {} units (r of the others is undefined)", known, r.size()),
        std::isnan(untrained) ? std::string() : fmt::format("untrained {:.3f}, ", untrained),
        report.median_of("r_shuffled", set), report.median_of("r_luminance", set));
    if (report.has_repeats)
        line += fmt::format("; of the ceiling {:.3f}: cc_norm {:.3f}",
                            report.median_of("cc_max", set), report.median_of("cc_norm", set));
    return line;
}

/// Penalties at the ends of the range may have better ones beyond.
std::string edge_line(const FitReport& report, std::size_t set)
{
    const std::vector<double>& chosen = report.values.at("lambda")[set];
    const auto low = std::ranges::count(chosen, report.lambdas.front());
    const auto high = std::ranges::count(chosen, report.lambdas.back());
    if (report.lambdas.size() < 2 || 10 * std::max(low, high) < std::ssize(chosen)) return {};
    return fmt::format(
        "{} of {} units chose the least penalty {:g}, {} the largest {:g}: a wider lambda may fit "
        "better",
        low, chosen.size(), report.lambdas.front(), high, report.lambdas.back());
}

/// Anew: what stood there under that name, a link say, is not written through.
void write_file(const std::filesystem::path& file, const std::string& text)
{
    std::error_code ignored;
    std::filesystem::remove(file, ignored);
    std::ofstream stream(file, std::ios::binary);
    stream << text;
    stream.close();
    TWINSCREEN_REQUIRE(stream.good(), store, "{}: cannot be written", file.string());
}

std::string unit_cells(const Table& units, std::size_t unit)
{
    return csv_cell(units.text("id", unit)) + "," + csv_cell(units.text("subject", unit)) + "," +
           csv_cell(units.text("area", unit));
}

std::string set_cells(const FitReport::Set& set)
{
    return csv_cell(set.twin) + "," + csv_cell(set.layer);
}

std::string scores_text(const FitReport& report)
{
    const std::vector<std::string> names = names_of(report);
    std::string text = "twin,layer,neuron,id,subject,area";
    for (const std::string& name : names) text += "," + name;
    text += "\n";
    for (std::size_t set = 0; set < report.sets.size(); ++set)
        for (std::size_t unit = 0; unit < report.units.rows(); ++unit) {
            text += fmt::format("{},{},{}", set_cells(report.sets[set]), report.neurons[unit],
                                unit_cells(report.units, unit));
            for (const std::string& name : names)
                text += fmt::format(",{:.6g}", report.values.at(name)[set][unit]);
            text += "\n";
        }
    return text;
}

std::string layers_text(const FitReport& report)
{
    std::vector<std::string> names = names_of(report);
    std::erase_if(names,
                  [](const std::string& name) { return name == "choice" || name == "intercept"; });
    std::string text = "twin,layer,features";
    for (const std::string& name : names) text += ",median_" + name;
    text += "\n";
    for (std::size_t set = 0; set < report.sets.size(); ++set) {
        text += fmt::format("{},{}", set_cells(report.sets[set]), report.sets[set].features);
        for (const std::string& name : names)
            text += fmt::format(",{:.6g}", report.median_of(name, set));
        text += "\n";
    }
    return text;
}

/// What each band of a banded fit weighs: its penalty is lambda / weight.
std::string bands_text(const FitReport& report)
{
    std::string text = "neuron,id,subject,area,band,weight,penalty\n";
    for (std::size_t unit = 0; unit < report.units.rows(); ++unit) {
        const auto choice = static_cast<std::size_t>(report.values.at("choice")[0][unit]);
        for (std::size_t band = 0; band < report.bands.size(); ++band) {
            const double weight = report.band_weights.at(choice)[band];
            text += fmt::format("{},{},{},{:.6g},{:.6g}\n", report.neurons[unit],
                                unit_cells(report.units, unit), csv_cell(report.bands[band]),
                                weight, report.values.at("lambda")[0][unit] / weight);
        }
    }
    return text;
}

void write_chart(const FitReport& report, const std::filesystem::path& file)
{
    ScoreChart chart;
    chart.title =
        fmt::format("held-out r of {} units, median and quartiles, by layer", report.units.rows());
    for (std::size_t set = 0; set < report.sets.size(); ++set)
        chart.rows.push_back({report.sets[set].twin, report.sets[set].layer,
                              report.values.at("r")[set], report.median_of("r_untrained", set),
                              report.median_of("r_shuffled", set)});
    chart.lines.push_back({"mean luminance", report.median_of("r_luminance", 0)});
    if (report.has_repeats) chart.lines.push_back({"ceiling", report.median_of("cc_max", 0)});
    write_file(file, svg_of(chart));
}

}  // namespace

double FitReport::median_of(const std::string& name, std::size_t set) const
{
    return median(values.at(name)[set]);
}

std::vector<std::size_t> FitReport::best_sets() const
{
    const auto explained = [&](std::size_t set) {
        const double value = median_of("validation_r2", set);
        return std::isnan(value) ? -std::numeric_limits<double>::infinity() : value;
    };
    std::vector<std::size_t> best;
    for (std::size_t set = 0; set < sets.size(); ++set) {
        const auto known = std::ranges::find_if(
            best, [&](std::size_t other) { return sets[other].twin == sets[set].twin; });
        if (known == best.end())
            best.push_back(set);
        else if (explained(set) > explained(*known))
            *known = set;
    }
    return best;
}

std::vector<std::string> describe_fit(const FitReport& report)
{
    constexpr std::size_t most_listed = 12;
    std::vector<std::string> lines;
    for (const std::size_t best : report.best_sets()) {
        lines.push_back("best on the images held out from training: " + set_line(report, best));
        if (const std::string edge = edge_line(report, best); !edge.empty()) lines.push_back(edge);
    }
    if (report.sets.size() > most_listed)
        lines.push_back(fmt::format(
            "all {} sets of features: score_by_layer.csv, score_by_layer.svg; every unit: "
            "scores.csv",
            report.sets.size()));
    else if (report.sets.size() > 1)
        for (std::size_t set = 0; set < report.sets.size(); ++set)
            lines.push_back("  " + set_line(report, set));
    if (!report.has_repeats)
        lines.push_back("the recording has no repeats: noise ceilings are unknown, r stands alone");
    return lines;
}

void write_fit_files(const FitReport& report, const std::filesystem::path& folder)
{
    write_file(folder / "scores.csv", scores_text(report));
    write_file(folder / "score_by_layer.csv", layers_text(report));
    if (!report.bands.empty()) write_file(folder / "bands.csv", bands_text(report));
    write_chart(report, folder / "score_by_layer.svg");
}

}  // namespace twinscreen
