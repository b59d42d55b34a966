#pragma once

#include <memory>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "engine/twin/families.hpp"
#include "engine/twin/readout.hpp"

namespace twinscreen {

// Readouts of networks of any shape: the families "graph" and "package".

/// The taps that the readouts of each network take. Throws one Error(data) that lists all mistakes
/// of twin.toml about them.
///
/// known    what the network offers
/// file     of the network, for messages
/// network  "graph", likewise
/// no_tap   what a name that is not known is not: "is no node"
std::vector<std::vector<TapId>> taps_of_readouts(const BundleDescription& bundle,
                                                 std::span<const TapSpec> known,
                                                 const std::string& file,
                                                 const std::string& network,
                                                 const std::string& no_tap);

/// Names of the tensors that the readouts take.
std::set<std::string> readout_tensors(const BundleDescription& bundle);

std::unique_ptr<Readout> readout_of(const NetworkEntry& entry, const Backbone& backbone,
                                    std::span<const TapId> taps, const WeightReader& weights,
                                    Precision precision);

}  // namespace twinscreen
