#include "engine/twin/twin_of_taps.hpp"

#include <algorithm>
#include <limits>
#include <memory>
#include <optional>
#include <set>
#include <string_view>

#include "engine/base/digest.hpp"
#include "engine/base/memory.hpp"
#include "engine/config/section.hpp"
#include "engine/twin/tap_readout.hpp"

namespace twinscreen {

namespace {

std::optional<TapId> tap_named(const Backbone& backbone, const std::string& name)
{
    const auto taps = backbone.taps();
    for (std::size_t tap = 0; tap < taps.size(); ++tap)
        if (taps[tap].name == name) return TapId{static_cast<std::uint32_t>(tap)};
    return std::nullopt;
}

/// The names of all taps, each once, in the order of the networks.
std::vector<std::string> known_taps(const std::vector<std::shared_ptr<Backbone>>& backbones)
{
    std::vector<std::string> known;
    std::set<std::string> seen;
    for (const auto& backbone : backbones)
        for (const TapSpec& tap : backbone->taps())
            if (seen.insert(tap.name).second) known.push_back(tap.name);
    return known;
}

/// `*` in a pattern stands for any letters.
bool matches(std::string_view name, std::string_view pattern)
{
    const std::size_t star = pattern.find('*');
    if (star == std::string_view::npos) return name == pattern;
    if (!name.starts_with(pattern.substr(0, star))) return false;
    const std::string_view rest = pattern.substr(star + 1);
    for (std::size_t from = star; from <= name.size(); ++from)
        if (matches(name.substr(from), rest)) return true;
    return false;
}

/// The taps that the names and patterns stand for.
std::vector<std::string> expanded(const std::vector<std::shared_ptr<Backbone>>& backbones,
                                  const std::vector<std::string>& wanted)
{
    const std::vector<std::string> known = known_taps(backbones);
    std::vector<std::string> taps;
    for (const std::string& pattern : wanted) {
        const std::size_t before = taps.size();
        for (const std::string& name : known) {
            if (!matches(name, pattern)) continue;
            TWINSCREEN_REQUIRE(std::find(taps.begin(), taps.end(), name) == taps.end(), config,
                               "tap '{}' is listed twice", name);
            taps.push_back(name);
        }
        if (taps.size() > before) continue;
        const auto nearest = nearest_word(pattern, known);
        throw Error(Error::Kind::config,
                    fmt::format("no network of the twin has a tap '{}'", pattern),
                    nearest ? fmt::format("did you mean '{}'?", *nearest)
                            : "twinscreen list BUNDLE --taps shows what there is");
    }
    return taps;
}

}  // namespace

Twin twin_of_taps(Twin twin, const TapSelection& selection, Precision precision)
{
    const auto backbones = backbones_of(twin);
    const std::vector<std::string> taps = expanded(backbones, selection.taps);
    std::vector<TwinPart> parts;
    std::vector<std::string> ids, subjects, areas;
    for (std::size_t number = 0; number < backbones.size(); ++number)
        for (const std::string& name : taps) {
            const auto tap = tap_named(*backbones[number], name);
            if (!tap) continue;
            const bool is_only = backbones.size() == 1;
            const std::string subject =
                is_only ? twin.spec.name : fmt::format("{} network {}", twin.spec.name, number);
            const std::string path = is_only ? name : fmt::format("{}/{}", number, name);
            parts.push_back({backbones[number],
                             tap_readout(*backbones[number], *tap, selection.features, precision)});
            for (std::int64_t unit = 0; unit < parts.back().readout->outputs(); ++unit) {
                ids.push_back(fmt::format("{}/{}", path, unit));
                subjects.push_back(subject);
                areas.push_back(name);
            }
        }
    for (const auto& backbone : backbones) {
        std::vector<TapId> wanted;
        for (const TwinPart& part : parts)
            if (part.backbone == backbone) wanted.push_back(part.readout->taps()[0]);
        require_memory(fmt::format("twin '{}' with these taps", twin.spec.name),
                       static_cast<double>(backbone->memory_bytes(wanted)));
    }
    const std::vector<double> unknown(ids.size(), std::numeric_limits<double>::quiet_NaN());
    twin.units.columns = {{"id", "", std::move(ids)},     {"subject", "", std::move(subjects)},
                          {"area", "", std::move(areas)}, {"heldout_r", "", unknown},
                          {"noise_ceiling", "", unknown}, {"x", "deg", unknown},
                          {"y", "deg", unknown}};
    twin.parts = std::move(parts);
    twin.spec.response_unit = "activation";
    Digest digest;
    digest.add(twin.spec.digest).add(selection.features.text());
    for (const std::string& name : taps) digest.add(name);
    twin.spec.digest = digest.hex();
    twin.selection = TapSelection{taps, selection.features};
    return twin;
}

}  // namespace twinscreen
