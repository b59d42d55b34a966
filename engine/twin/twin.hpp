#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "engine/base/table.hpp"
#include "engine/twin/backbone.hpp"
#include "engine/twin/readout.hpp"

namespace twinscreen {

struct TwinSpec {
    std::string name;
    std::string family;         ///< "gabor_energy", "v4_compact", "sensorium"
    std::string response_unit;  ///< "z", "spikes/s", "rate"
    std::string licence;
    std::string citation;
    std::string digest;  ///< identity of all weights and settings, copied into every result file
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

/// A digital twin: what `[[twins]]` of a campaign names.
///
/// The unit table has at least the columns id (text), subject (text), area (text),
/// heldout_r (number), noise_ceiling (number), x, y (numbers, [deg], NaN where unknown); row i
/// belongs to output i of the parts in order.
struct Twin {
    TwinSpec spec;
    Table units;
    std::vector<TwinPart> parts;
};

/// The backbones of a twin's parts, each once, in order.
std::vector<std::shared_ptr<Backbone>> backbones_of(const Twin& twin);

enum class Precision { f32, f64 };

/// Keeps only the units whose row number is listed (ascending): drops rows of the unit table,
/// selects in the readouts, drops parts without units. Unit numbers are those of the result.
void keep_units(Twin& twin, const std::vector<std::size_t>& rows);

}  // namespace twinscreen
