#include "engine/twin/network_readouts.hpp"

#include <algorithm>

#include "engine/twin/field_readout.hpp"
#include "engine/twin/tap_readout.hpp"
#include "engine/twin/torch_readouts.hpp"

namespace twinscreen {

std::vector<std::vector<TapId>> taps_of_readouts(const BundleDescription& bundle,
                                                 std::span<const TapSpec> known,
                                                 const std::string& file,
                                                 const std::string& network,
                                                 const std::string& no_tap)
{
    std::vector<std::vector<TapId>> taps;
    std::vector<std::string> names;
    for (const TapSpec& tap : known) names.push_back(tap.name);
    std::string mistakes;
    for (const NetworkEntry& entry : bundle.networks) {
        taps.emplace_back();
        for (const NetworkTap& tap : entry.taps) {
            const auto found = std::find(names.begin(), names.end(), tap.name);
            if (found == names.end()) {
                const auto nearest = nearest_word(tap.name, names);
                mistakes +=
                    fmt::format("\n  tap '{}' {}{}", tap.name, no_tap,
                                nearest ? fmt::format(" (did you mean '{}'?)", *nearest) : "");
                continue;
            }
            const auto number = static_cast<std::size_t>(found - names.begin());
            taps.back().push_back(TapId{static_cast<std::uint32_t>(number)});
            const Shape row = known[number].row;
            if (!(row == tap.row))
                mistakes += fmt::format("\n  tap '{}' has shape {}, twin.toml declares {}",
                                        tap.name, row.text(), tap.row.text());
        }
    }
    TWINSCREEN_REQUIRE(mistakes.empty(), data, "{}: the readouts do not fit the {}{}", file,
                       network, mistakes);
    return taps;
}

std::set<std::string> readout_tensors(const BundleDescription& bundle)
{
    std::set<std::string> names;
    for (const NetworkEntry& entry : bundle.networks) {
        if (entry.readout == "dense")
            for (const char* name : {"readout.kernel", "readout.bias"})
                names.insert(entry.prefix + name);
        if (is_field_readout(entry.readout))
            for (const std::string& name : field_tensors(entry)) names.insert(name);
    }
    return names;
}

std::unique_ptr<Readout> readout_of(const NetworkEntry& entry, const Backbone& backbone,
                                    std::span<const TapId> taps, const WeightReader& weights,
                                    Precision precision)
{
    if (is_field_readout(entry.readout)) return read_field_readout(entry, weights, precision, taps);
    if (entry.readout == "dense")
        return read_dense_readout(entry, backbone, taps, weights, precision);
    TWINSCREEN_REQUIRE(entry.units == entry.tap_row.count(), data,
                       "bundle '{}': tap '{}' has {} values, twin.toml declares {} units",
                       weights.bundle(), entry.tap, entry.tap_row.count(), entry.units);
    return tap_readout(backbone, taps[0], TapFeatures{}, precision);
}

}  // namespace twinscreen
