#include <iostream>
#include <map>

#include <nlohmann/json.hpp>

#include "engine/app/commands.hpp"
#include "engine/device/gpus.hpp"
#include "engine/stimulus/stimuli.hpp"
#include "engine/twin/bundle.hpp"
#include "experiments/experiments.hpp"

namespace twinscreen {
namespace {

struct Named {
    std::string name;
    std::string summary;
};

std::vector<Named> experiments()
{
    std::vector<Named> result;
    const ExperimentRegistry registry = known_experiments();
    for (const auto& entry : registry.entries()) result.push_back({entry.name, entry.summary});
    return result;
}

std::vector<Named> families()
{
    std::vector<Named> result;
    for (const TwinFamily& family : twin_families())
        result.push_back({family.name, family.summary});
    return result;
}

std::vector<Named> stimuli()
{
    std::vector<Named> result;
    for (const StimulusKind& kind : stimulus_kinds()) result.push_back({kind.key, kind.summary});
    return result;
}

nlohmann::json json_of(const std::vector<Named>& entries)
{
    nlohmann::json result = nlohmann::json::array();
    for (const Named& entry : entries)
        result.push_back({{"name", entry.name}, {"summary", entry.summary}});
    return result;
}

void print(const char* title, const std::vector<Named>& entries)
{
    std::cout << title << "\n";
    for (const Named& entry : entries)
        std::cout << fmt::format("  {:16} {}\n", entry.name, entry.summary);
}

int list_build(bool json)
{
    const std::string numerics = numerics_fingerprint();
    const VisibleGpus gpus = visible_gpus();
    if (json) {
        std::cout << nlohmann::json{{"version", TWINSCREEN_VERSION},
                                    {"experiments", json_of(experiments())},
                                    {"twin_families", json_of(families())},
                                    {"stimuli", json_of(stimuli())},
                                    {"graph_operators", graph_operators()},
                                    {"numerics", numerics},
                                    {"cuda", built_for_gpus()},
                                    {"gpus", gpus.names}}
                         .dump(2)
                  << "\n";
        return 0;
    }
    print("experiments (a campaign has one of these sections)", experiments());
    print("twin families ([[twins]] bundle = FOLDER, or family = NAME)", families());
    print("stimuli (keys of [[stimuli]])", stimuli());
    std::cout << "this build\n  twinscreen " TWINSCREEN_VERSION "\n  numerics: " << numerics
              << "\n  GPUs: "
              << (gpus.names.empty() ? "none; " + gpus.why_none
                                     : fmt::format("{}", fmt::join(gpus.names, ", ")))
              << "\n";
    return 0;
}

/// (subject, area) -> units
std::map<std::pair<std::string, std::string>, std::size_t> areas_of(const Twin& twin)
{
    std::map<std::pair<std::string, std::string>, std::size_t> areas;
    for (std::size_t unit = 0; unit < twin.units.rows(); ++unit)
        ++areas[{twin.units.text("subject", unit), twin.units.text("area", unit)}];
    return areas;
}

nlohmann::json taps_of(const Twin& twin)
{
    nlohmann::json taps = nlohmann::json::array();
    const auto backbones = backbones_of(twin);
    for (std::size_t i = 0; i < backbones.size(); ++i)
        for (const TapSpec& tap : backbones[i]->taps())
            taps.push_back(
                {{"backbone", i},
                 {"name", tap.name},
                 {"shape", std::vector<std::int64_t>(tap.row.extent.begin(),
                                                     tap.row.extent.begin() + tap.row.rank)}});
    return taps;
}

int list_taps(const Twin& twin, bool json)
{
    const nlohmann::json taps = taps_of(twin);
    if (json) {
        std::cout << taps.dump(2) << "\n";
        return 0;
    }
    for (const auto& tap : taps)
        std::cout << fmt::format("{:40} {}\n", tap["name"].get<std::string>(), tap["shape"].dump());
    return 0;
}

int list_twin(const Twin& twin, bool json)
{
    if (json) {
        nlohmann::json areas = nlohmann::json::array();
        for (const auto& [key, units] : areas_of(twin))
            areas.push_back({{"subject", key.first}, {"area", key.second}, {"units", units}});
        nlohmann::json columns = nlohmann::json::array();
        for (const TableColumn& column : twin.units.columns) columns.push_back(column.name);
        std::cout
            << nlohmann::json{{"name", twin.spec.name},         {"family", twin.spec.family},
                              {"digest", twin.spec.digest},     {"licence", twin.spec.licence},
                              {"citation", twin.spec.citation}, {"units", twin.units.rows()},
                              {"unit_columns", columns},        {"areas", areas}}
                   .dump(2)
            << "\n";
        return 0;
    }
    std::cout << fmt::format("{} ({}), {} units, {} network{}\n", twin.spec.name, twin.spec.family,
                             twin.units.rows(), twin.parts.size(),
                             twin.parts.size() == 1 ? "" : "s");
    for (const auto& [key, units] : areas_of(twin))
        std::cout << fmt::format("  subject {}, area {}: {} units\n", key.first, key.second, units);
    std::cout << "  stimulus:\n";
    const Table& facts = twin.spec.stimulus_facts;
    for (std::size_t row = 0; row < facts.rows(); ++row)
        std::cout << fmt::format("    {} = {} ({})\n", facts.text("property", row),
                                 facts.text("value", row), facts.text("source", row));
    std::cout << "  unit table:";
    for (const TableColumn& column : twin.units.columns)
        std::cout << " " << column.name << (column.unit.empty() ? "" : " [" + column.unit + "]");
    std::cout << fmt::format("\n  licence: {}\n  cite: {}\n  digest: {}\n", twin.spec.licence,
                             twin.spec.citation, twin.spec.digest);
    return 0;
}

}  // namespace

int list_command(const std::filesystem::path& bundle, const std::vector<std::string>& trusted,
                 bool taps, bool json)
{
    if (taps && bundle.empty())
        throw Error(Error::Kind::config, "--taps needs the folder of a bundle");
    if (bundle.empty()) return list_build(json);
    const Twin twin = load_bundle(bundle, Precision::f32, trusted);
    return taps ? list_taps(twin, json) : list_twin(twin, json);
}

}  // namespace twinscreen
