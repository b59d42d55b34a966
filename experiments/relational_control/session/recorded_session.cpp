#include "experiments/relational_control/session/recorded_session.hpp"

#include <algorithm>
#include <cmath>
#include <span>

#include "engine/config/csv.hpp"
#include "experiments/recording.hpp"
#include "experiments/relational_control/statistics/noise_analysis.hpp"

namespace twinscreen {
namespace {

constexpr std::array<const char*, 3> similarity_names{"align", "disentangle", "baseline"};

const TableColumn& column_of(const Table& table, const char* name, bool is_text,
                             const std::filesystem::path& file)
{
    const TableColumn* column = table.find(name);
    TWINSCREEN_REQUIRE(column != nullptr && column->is_text() == is_text, data,
                       "{}: no column of {} named '{}'", file.string(),
                       is_text ? "texts" : "numbers", name);
    return *column;
}

/// The set that a name of images.csv stands for; null where there is none.
std::vector<std::uint32_t>* set_named(SessionDesign& design, const std::string& name)
{
    for (std::size_t at = 0; at < similarity_names.size(); ++at)
        if (name == similarity_names[at]) return &design.similarity_sets[at];
    for (std::size_t at = 0; at < control_conditions; ++at)
        if (name == condition_names[at]) return &design.mean_sets[at];
    constexpr std::string_view prefix = "baseline ";
    if (!name.starts_with(prefix)) return nullptr;
    for (std::size_t area = 0; area < 2; ++area) {
        if (design.mean_baselines[area].empty()) design.areas[area] = name.substr(prefix.size());
        if (design.areas[area] == name.substr(prefix.size())) return &design.mean_baselines[area];
    }
    return nullptr;
}

/// Pictures shown in every trial, 0 for a catch trial.
std::vector<std::uint32_t> read_order(const std::filesystem::path& file, std::uint32_t images)
{
    const Table table = read_csv(file);
    static_cast<void>(column_of(table, "image", false, file));
    std::vector<std::uint32_t> order;
    for (std::size_t row = 0; row < table.rows(); ++row) {
        const double image = table.number("image", row);
        TWINSCREEN_REQUIRE(image >= 0.0 && image <= images && image == std::floor(image), data,
                           "{}: trial {} shows image {}, the session has 1 to {} (0: catch trial)",
                           file.string(), row + 1, image, images);
        order.push_back(static_cast<std::uint32_t>(image));
    }
    return order;
}

AreaTrials read_area(const std::filesystem::path& file, const std::vector<std::uint32_t>& order,
                     std::span<const std::uint32_t> images, double ceiling, std::size_t& recorded)
{
    const Recording recording =
        read_recording(file, "items,units", order.size(), Missing::keep, "trials");
    recorded = recording.neurons;
    AreaTrials area;
    for (std::size_t unit = 0; unit < recording.neurons; ++unit) {
        std::vector<double> values;
        for (std::size_t trial = 0; trial < order.size(); ++trial)
            if (order[trial] > 0) values.push_back(recording.at(unit, trial));
        if (std::ranges::any_of(values, [](double value) { return std::isnan(value); })) continue;
        if (!(signal_to_noise(values, images) > ceiling)) continue;
        area.values.insert(area.values.end(), values.begin(), values.end());
        ++area.units;
    }
    TWINSCREEN_REQUIRE(area.units > 1, data,
                       "{}: {} of {} units have a signal-to-noise ratio above {}", file.string(),
                       area.units, recorded, ceiling);
    return area;
}

}  // namespace

SessionDesign read_session_design(const std::filesystem::path& file)
{
    const Table table = read_csv(file);
    static_cast<void>(column_of(table, "set", true, file));
    SessionDesign design;
    for (; design.images < table.rows(); ++design.images) {
        const std::string& name = table.text("set", design.images);
        std::vector<std::uint32_t>* set = set_named(design, name);
        TWINSCREEN_REQUIRE(set != nullptr, data, "{}: set '{}' is none of a session", file.string(),
                           name);
        set->push_back(design.images);
    }
    const bool has_similarity =
        std::ranges::all_of(design.similarity_sets, [](const auto& set) { return set.size() > 2; });
    const bool has_means = !design.mean_baselines[0].empty() && !design.mean_baselines[1].empty();
    TWINSCREEN_REQUIRE(has_similarity != has_means, data,
                       "{}: neither the sets of a univariate session (both_high ... and two "
                       "baselines) nor those of a multivariate one (align, disentangle, baseline)",
                       file.string());
    return design;
}

RecordedSession read_recorded_session(const std::filesystem::path& trials,
                                      const std::array<std::filesystem::path, 2>& betas,
                                      const SessionDesign& design, double ceiling)
{
    const std::vector<std::uint32_t> order = read_order(trials, design.images);
    RecordedSession session;
    for (const std::uint32_t image : order)
        if (image > 0) session.images.push_back(image - 1);
    for (std::uint32_t image = 0; image < design.images; ++image)
        TWINSCREEN_REQUIRE(std::ranges::count(session.images, image) >= 2, data,
                           "{}: image {} is shown less than twice: its noise is unknown",
                           trials.string(), image + 1);
    for (std::size_t area = 0; area < 2; ++area)
        session.areas[area] =
            read_area(betas[area], order, session.images, ceiling, session.recorded_units[area]);
    return session;
}

}  // namespace twinscreen
