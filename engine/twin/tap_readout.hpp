#pragma once

#include <memory>
#include <vector>

#include "engine/twin/readout.hpp"
#include "engine/twin/twin.hpp"

namespace twinscreen {

/// The features of a tap, as a readout. Throws Error(config) for a grid over something that is not
/// a map.
std::unique_ptr<Readout> tap_readout(const Backbone& backbone, TapId tap,
                                     const TapFeatures& features, Precision precision);

/// The outputs of several readouts of one backbone, one after the other.
std::unique_ptr<Readout> joined_readout(std::vector<std::unique_ptr<Readout>> parts,
                                        Precision precision);

}  // namespace twinscreen
