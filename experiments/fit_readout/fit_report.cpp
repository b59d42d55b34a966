#include "experiments/fit_readout/fit_report.hpp"

#include <algorithm>
#include <cmath>
#include <fstream>

#include "engine/base/error.hpp"
#include "engine/config/csv.hpp"
#include "experiments/fit_readout/score_chart.hpp"
#include "experiments/statistics.hpp"

namespace twinscreen {
namespace {

std::string name_of(const FitReport::Set& set) { return fmt::format("{} {}", set.twin, set.area); }

std::string set_line(const FitReport& report, std::size_t set)
{
    const double untrained = report.median_of("r_untrained", set);
    std::string line = fmt::format(
        "{} ({} features): median r {:.3f} (baselines: {}shuffled images {:.3f}, mean luminance "
        "{:.3f}, constant 0)",
        name_of(report.sets[set]), report.sets[set].features, report.median_of("r", set),
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

std::ofstream open_table(const std::filesystem::path& file)
{
    std::ofstream stream(file);
    TWINSCREEN_REQUIRE(stream.good(), store, "{}: cannot be written", file.string());
    return stream;
}

void close_table(std::ofstream& stream, const std::filesystem::path& file)
{
    stream.close();
    TWINSCREEN_REQUIRE(stream.good(), store, "{}: cannot be written", file.string());
}

void write_scores(const FitReport& report, const std::filesystem::path& file)
{
    std::ofstream stream = open_table(file);
    stream << "twin,area,id";
    for (const auto& [name, sets] : report.values) stream << "," << name;
    stream << "\n";
    for (std::size_t set = 0; set < report.sets.size(); ++set)
        for (std::size_t unit = 0; unit < report.units.rows(); ++unit) {
            stream << csv_cell(report.sets[set].twin) << "," << csv_cell(report.sets[set].area)
                   << "," << csv_cell(report.units.text("id", unit));
            for (const auto& [name, sets] : report.values)
                stream << fmt::format(",{:.6g}", sets[set][unit]);
            stream << "\n";
        }
    close_table(stream, file);
}

void write_layers(const FitReport& report, const std::filesystem::path& file)
{
    std::ofstream stream = open_table(file);
    stream << "twin,area,features";
    for (const auto& [name, sets] : report.values) stream << ",median_" << name;
    stream << "\n";
    for (std::size_t set = 0; set < report.sets.size(); ++set) {
        stream << csv_cell(report.sets[set].twin) << "," << csv_cell(report.sets[set].area) << ","
               << report.sets[set].features;
        for (const auto& [name, sets] : report.values)
            stream << fmt::format(",{:.6g}", report.median_of(name, set));
        stream << "\n";
    }
    close_table(stream, file);
}

void write_chart(const FitReport& report, const std::filesystem::path& file)
{
    ScoreChart chart;
    chart.title =
        fmt::format("held-out r of {} units, median and quartiles, by layer", report.units.rows());
    for (std::size_t set = 0; set < report.sets.size(); ++set)
        chart.rows.push_back({report.sets[set].twin, report.sets[set].area,
                              report.values.at("r")[set], report.median_of("r_untrained", set),
                              report.median_of("r_shuffled", set)});
    chart.lines.push_back({"mean luminance", report.median_of("r_luminance", 0)});
    if (report.has_repeats) chart.lines.push_back({"ceiling", report.median_of("cc_max", 0)});
    std::ofstream stream = open_table(file);
    stream << svg_of(chart);
    close_table(stream, file);
}

}  // namespace

double FitReport::median_of(const std::string& name, std::size_t set) const
{
    return median(values.at(name)[set]);
}

std::vector<std::size_t> FitReport::best_sets() const
{
    std::vector<std::size_t> best;
    for (std::size_t set = 0; set < sets.size(); ++set) {
        const auto known = std::ranges::find_if(
            best, [&](std::size_t other) { return sets[other].twin == sets[set].twin; });
        if (known == best.end())
            best.push_back(set);
        else if (median_of("validation_r2", set) > median_of("validation_r2", *known))
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
    write_scores(report, folder / "scores.csv");
    write_layers(report, folder / "score_by_layer.csv");
    write_chart(report, folder / "score_by_layer.svg");
}

}  // namespace twinscreen
