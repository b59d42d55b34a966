#include "engine/twin/twin_of_taps.hpp"

#include <limits>
#include <memory>
#include <optional>
#include <set>

#include "engine/base/digest.hpp"
#include "engine/config/section.hpp"
#include "engine/twin/torch_readouts.hpp"

namespace twinscreen {

namespace {

std::optional<TapId> tap_named(const Backbone& backbone, const std::string& name)
{
    const auto taps = backbone.taps();
    for (std::size_t tap = 0; tap < taps.size(); ++tap)
        if (taps[tap].name == name) return TapId{static_cast<std::uint32_t>(tap)};
    return std::nullopt;
}

void require_known(const std::vector<std::shared_ptr<Backbone>>& backbones,
                   const std::vector<std::string>& wanted)
{
    std::set<std::string> known;
    for (const auto& backbone : backbones)
        for (const TapSpec& tap : backbone->taps()) known.insert(tap.name);
    std::set<std::string> seen;
    for (const std::string& name : wanted) {
        if (!seen.insert(name).second)
            throw Error(Error::Kind::config, fmt::format("tap '{}' is listed twice", name));
        if (known.count(name) > 0) continue;
        const auto nearest = nearest_word(name, {known.begin(), known.end()});
        throw Error(Error::Kind::config, fmt::format("no network of the twin has a tap '{}'", name),
                    nearest ? fmt::format("did you mean '{}'?", *nearest)
                            : "twinscreen list BUNDLE --taps shows what there is");
    }
}

}  // namespace

Twin twin_of_taps(Twin twin, const std::vector<std::string>& taps, bool pooled, Precision precision)
{
    const auto backbones = backbones_of(twin);
    require_known(backbones, taps);
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
            parts.push_back(
                {backbones[number], tap_readout(*backbones[number], *tap, precision, pooled)});
            for (std::int64_t unit = 0; unit < parts.back().readout->outputs(); ++unit) {
                ids.push_back(fmt::format("{}/{}", path, unit));
                subjects.push_back(subject);
                areas.push_back(name);
            }
        }
    const std::vector<double> unknown(ids.size(), std::numeric_limits<double>::quiet_NaN());
    twin.units.columns = {{"id", "", std::move(ids)},     {"subject", "", std::move(subjects)},
                          {"area", "", std::move(areas)}, {"heldout_r", "", unknown},
                          {"noise_ceiling", "", unknown}, {"x", "deg", unknown},
                          {"y", "deg", unknown}};
    twin.parts = std::move(parts);
    twin.spec.response_unit = "activation";
    Digest digest;
    digest.add(twin.spec.digest).add(pooled ? "means of taps" : "taps");
    for (const std::string& name : taps) digest.add(name);
    twin.spec.digest = digest.hex();
    return twin;
}

}  // namespace twinscreen
