#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/table.hpp"
#include "engine/twin/backbone.hpp"
#include "engine/twin/readout.hpp"
#include "engine/twin/tap_features.hpp"

namespace twinscreen {

/// The bundle that a twin was made of.
struct BundleSource {
    std::filesystem::path folder;             ///< empty for an analytic twin
    std::string digest;                       ///< of the twin as the bundle has it
    std::optional<double> degrees_per_pixel;  ///< as the campaign gives it
    std::optional<std::uint64_t> untrained;   ///< draw of the weights, where they are drawn
};

struct TwinSpec {
    std::string name;
    std::string family;         ///< "gabor_energy", "v4_compact", "sensorium"
    std::string response_unit;  ///< "z", "spikes/s", "rate"
    std::string licence;
    std::string citation;
    std::string digest;  ///< identity of all weights and settings, copied into every result file
    BundleSource source;
    /// Facts about the stimulus, each with its source or "assumed": for `list` and the store.
    /// Columns: "property", "value", "source" (texts).
    Table stimulus_facts;
};

/// One backbone with the readout of some of the twin's units. A twin of many single-neuron
/// networks has one part per network; units of parts are consecutive rows of the unit table.
struct TwinPart {
    std::shared_ptr<Backbone> backbone;
    std::unique_ptr<Readout> readout;
};

/// How features of taps became the units of a twin.
struct TapSelection {
    std::vector<std::string> taps;  ///< one or more of every network, in this order
    TapFeatures features;
};

/// A digital twin: what `[[twins]]` of a campaign names.
///
/// The unit table has at least the columns id (text), subject (text), area (text),
/// heldout_r (number), noise_ceiling (number), x, y (numbers, [deg], NaN where unknown); row i
/// belongs to output i of the parts in order.
struct Twin {
    TwinSpec spec;
    Table units;
    std::vector<TwinPart> parts;
    /// Where the units are features of taps: all of them.
    std::optional<TapSelection> selection;
};

/// The backbones of a twin's parts, each once, in order.
std::vector<std::shared_ptr<Backbone>> backbones_of(const Twin& twin);

enum class Precision { f32, f64 };

/// Keeps only the units whose row number is listed (ascending): drops rows of the unit table,
/// selects in the readouts, drops parts without units. Unit numbers are those of the result.
void keep_units(Twin& twin, const std::vector<std::size_t>& rows);

}  // namespace twinscreen
