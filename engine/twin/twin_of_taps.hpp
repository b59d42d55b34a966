#pragma once

#include <string>
#include <vector>

#include "engine/twin/twin.hpp"

namespace twinscreen {

/// The twin whose units are the values of named taps of its networks: features instead of
/// responses. A unit's id is "tap/number", its area the tap, its subject the twin (with the number
/// of the network, if it has several).
///
/// pooled  one unit per channel: its mean over all pixels
/// throws  Error(config) for a tap that no network has
Twin twin_of_taps(Twin twin, const std::vector<std::string>& taps, bool pooled,
                  Precision precision);

}  // namespace twinscreen
