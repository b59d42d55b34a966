#pragma once

#include <vector>

#include "engine/twin/graph/call.hpp"
#include "engine/twin/twin.hpp"

namespace twinscreen {

/// Turns every batch norm that alone follows a convolution into that convolution with other
/// weights; equal up to rounding. The convolution itself stays, for whoever taps it.
void fold_batch_norms(std::vector<GraphCall>& calls, Precision precision);

}  // namespace twinscreen
