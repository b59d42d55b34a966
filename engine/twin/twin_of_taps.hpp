#pragma once

#include <string>
#include <vector>

#include "engine/twin/twin.hpp"

namespace twinscreen {

/// The twin whose units are the features of named taps of its networks instead of responses. A
/// unit's id is "tap/number", its area the tap, its subject the twin (with the number of the
/// network, if it has several).
///
/// selection  taps may be patterns: "conv*_relu" stands for all that fit, in the network's order
/// throws     Error(config) for a tap that no network has
Twin twin_of_taps(Twin twin, const TapSelection& selection, Precision precision);

}  // namespace twinscreen
