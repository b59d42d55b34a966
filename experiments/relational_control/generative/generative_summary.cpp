#include <algorithm>

#include "engine/stimulus/contact_sheet.hpp"
#include "engine/stimulus/png_writer.hpp"
#include "experiments/relational_control/columns.hpp"
#include "experiments/relational_control/generative/generative_columns.hpp"
#include "experiments/relational_control/generative/generative_control.hpp"
#include "experiments/relational_control/generative/picture.hpp"
#include "experiments/relational_control/statistics/group_statistics.hpp"

namespace twinscreen {
namespace {

using generative::id;

constexpr std::uint32_t resamples = 1000;
constexpr std::size_t most_rows = 24;   // pairs and conditions on one sheet
constexpr std::size_t most_cells = 10;  // evolutions in one row

/// Mean and 95 % interval over evolutions of columns of values.
class OverEvolutions {
public:
    OverEvolutions(std::size_t cells, std::size_t evolutions, std::uint64_t seed)
        : evolutions_(evolutions), method_{false, resamples, seed}
    {
        means_.reserve(cells);
        bounds_.reserve(2 * cells);
    }
    /// values  [evolutions, columns]
    void add(const std::vector<double>& values)
    {
        const std::size_t columns = values.size() / evolutions_;
        std::vector<double> column(evolutions_);
        for (std::size_t at = 0; at < columns; ++at) {
            for (std::size_t evolution = 0; evolution < evolutions_; ++evolution)
                column[evolution] = values[evolution * columns + at];
            const Interval interval = bootstrap_mean(column, method_);
            means_.push_back(mean(column));
            bounds_.push_back(interval.low);
            bounds_.push_back(interval.high);
        }
    }
    const std::vector<double>& means() const noexcept { return means_; }
    const std::vector<double>& bounds() const noexcept { return bounds_; }

private:
    std::size_t evolutions_;
    BootstrapMethod method_;
    std::vector<double> means_;
    std::vector<double> bounds_;
};

}  // namespace

std::vector<ColumnSpec> GenerativeControl::summary_columns() const
{
    const std::vector<Axis> cell{axis_of("pair", study_.pairs.size()),
                                 axis_of("fold", study_.folds.size()),
                                 axis_of("condition", control_conditions)};
    const Axis generation = axis_of("generation", settings_.generations);
    const Axis bound = axis_of("bound", 2);
    std::vector<ColumnSpec> columns;
    const auto add = [&](const std::string& what, std::vector<Axis> axes) {
        columns.push_back(
            {"mean_" + what, Domain::stage, ElementType::f64, axes, "", "mean over evolutions"});
        axes.push_back(bound);
        columns.push_back({what + "_interval", Domain::stage, ElementType::f64, std::move(axes), "",
                           "95 % bootstrap interval of the mean over evolutions: low, high"});
    };
    std::vector<Axis> curve = cell;
    curve.push_back(generation);
    for (const char* name : generative::averaged_names) add(name, curve);
    add("threshold_generation", cell);
    return columns;
}

SummaryRows GenerativeControl::combine(const StageResults& results)
{
    const std::size_t evolutions = settings_.evolutions, generations = settings_.generations;
    SummaryRows summary;
    const Shape cell{extent(study_.pairs.size()), extent(study_.folds.size()),
                     extent(control_conditions)};
    const auto average = [&](std::size_t which, std::size_t width, const auto& read) {
        OverEvolutions over(cells() * width, evolutions, seed_);
        for (std::uint64_t at = 0; at < cells(); ++at) {
            results.check_stop();
            over.add(read(at * evolutions));
        }
        Shape shape = cell;
        if (which != generative::threshold_mean)
            shape = {cell.extent[0], cell.extent[1], cell.extent[2], extent(width)};
        Shape bounds = shape;
        bounds.extent[static_cast<std::size_t>(bounds.rank++)] = 2;
        summary.emplace_back(generative::mean_id(which), batch_of(over.means(), shape));
        summary.emplace_back(generative::interval_id(which), batch_of(over.bounds(), bounds));
    };
    for (std::size_t which = 0; which < generative::averaged.size(); ++which)
        average(which, generations, [&](std::uint64_t first) {
            return numbers_of(results.read(id(generative::averaged[which]), first, evolutions));
        });
    average(generative::threshold_mean, 1, [&](std::uint64_t first) {
        const OwnedBatch stored =
            results.read(id(generative::threshold_generation), first, evolutions);
        std::vector<double> values;
        for (const std::int64_t value : stored.values<std::int64_t>())
            values.push_back(static_cast<double>(value));
        return values;
    });
    return summary;
}

std::vector<std::string> GenerativeControl::report(const StageResults& results,
                                                   const CampaignInputs&,
                                                   const std::filesystem::path& folder)
{
    const std::size_t evolutions = settings_.evolutions, last = settings_.generations - 1;
    std::vector<std::string> lines{fmt::format(
        "pictures evolved to control two areas, thresholds {}{} beyond the baselines; complexity: "
        "mean over the evolutions that passed them",
        settings_.margin, is_standardised_ ? " standard deviations" : "")};
    for (std::uint64_t cell = 0; cell < cells(); ++cell) {
        const Chain chain = chain_of(cell * evolutions);
        std::size_t passed = 0, tested = 0;
        double bytes = 0.0;
        for (std::uint64_t item = cell * evolutions; item < (cell + 1) * evolutions; ++item) {
            const OwnedBatch missed = results.read(id(generative::penalised), item, 1);
            const OwnedBatch test = results.read(id(generative::test_penalised), item, 1);
            tested += test.values<std::uint8_t>()[last] == 0 ? 1U : 0U;
            if (missed.values<std::uint8_t>()[last] != 0) continue;
            ++passed;
            bytes += results.read(id(generative::complexity), item, 1).values<double>()[last];
        }
        const auto& test = study_.folds[chain.fold].test;
        lines.push_back(fmt::format(
            "  {}, {}, {}: {} of {} evolutions passed{}{}", study_.pair_name(chain.pair),
            study_.folds[chain.fold].name, condition_names[chain.condition], passed, evolutions,
            passed > 0
                ? fmt::format("; complexity {:.0f} bytes", bytes / static_cast<double>(passed))
                : "",
            test ? fmt::format("; in {} {}", study_.subjects[*test].name, tested) : ""));
    }
    lines.push_back(draw_sheet(results, folder));
    return lines;
}

/// Final pictures of fold 0.
std::string GenerativeControl::draw_sheet(const StageResults& results,
                                          const std::filesystem::path& folder) const
{
    std::vector<SheetRow> rows;
    for (std::uint64_t cell = 0; cell < cells() && rows.size() < most_rows; ++cell) {
        const std::uint64_t first = cell * settings_.evolutions;
        const Chain chain = chain_of(first);
        if (chain.fold != 0) continue;
        SheetRow row{study_.pair_name(chain.pair) + "\n" + condition_names[chain.condition], {}};
        const auto shown = std::min<std::size_t>(settings_.evolutions, most_cells);
        for (std::uint64_t item = first; item < first + shown; ++item) {
            const OwnedBatch stored = results.read(id(generative::picture), item, 1);
            const double bytes = results.read(id(generative::complexity), item, 1)
                                     .values<double>()[settings_.generations - 1];
            const bool missed = results.read(id(generative::penalised), item, 1)
                                    .values<std::uint8_t>()[settings_.generations - 1] != 0;
            row.cells.push_back({picture_of(generator_->size(), stored.values<std::uint8_t>()),
                                 missed ? std::string("missed") : fmt::format("{:.0f} B", bytes)});
        }
        rows.push_back(std::move(row));
    }
    const std::filesystem::path sheet = folder / "generated_pictures.png";
    write_png(contact_sheet(rows, "simplest pictures that control two areas"), sheet);
    return fmt::format("contact sheet: {}", sheet.string());
}

}  // namespace twinscreen
