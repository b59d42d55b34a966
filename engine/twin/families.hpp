#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "engine/config/section.hpp"
#include "engine/twin/network_tap.hpp"
#include "engine/twin/package.hpp"
#include "engine/twin/tap_features.hpp"
#include "engine/twin/trusted_code.hpp"
#include "engine/twin/twin.hpp"
#include "engine/twin/weights.hpp"

namespace twinscreen {

/// One network of a bundle: which tensors it owns and which units it predicts.
struct NetworkEntry {
    std::string prefix;            ///< of its tensor names: "neuron0."
    std::string tap;               ///< name of the first tap; most readouts have no other
    Shape tap_row;                 ///< its row
    std::vector<NetworkTap> taps;  ///< all of them, at least one
    TapFeatures features;          ///< of the taps, where the readout is dense
    std::string readout;           ///< "dense", "mixing_pool", "gaussian", "identity", ...
    std::int64_t units = 0;
};

/// What twin.toml says, checked for form; the tensors are checked when the parts are made.
struct BundleDescription {
    TwinSpec spec;
    InputTransform transform;
    std::vector<Axis> covariates;
    std::vector<NetworkEntry> networks;
    Table units;
    double batch_norm_epsilon = 0.0;
    bool hidden_elu = false;  ///< sensorium: ELU after the batch norms of the core
    std::string graph_file;   ///< graph: for messages
    std::string graph_text;
    Package package;  ///< of the family "package"
};

/// Parts in the order of the networks. Throws Error(data) for tensors that do not fit.
std::vector<TwinPart> v4_compact_parts(const BundleDescription& bundle, const WeightReader& weights,
                                       Precision precision);
std::vector<TwinPart> sensorium_parts(const BundleDescription& bundle, const WeightReader& weights,
                                      Precision precision);
std::vector<TwinPart> graph_parts(const BundleDescription& bundle, const SafetensorsFile& tensors,
                                  Precision precision);
/// tensors  of the readouts
std::vector<TwinPart> package_parts(const BundleDescription& bundle, const TrustedCode& code,
                                    const SafetensorsFile& tensors, Precision precision);
/// The analytic twin; mistakes are complained of in the section, then the result has no parts.
Twin gabor_energy_twin(ConfigSection& section, Precision precision);

}  // namespace twinscreen
