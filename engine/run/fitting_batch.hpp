#pragma once

#include <cstdint>

#include "engine/run/forward_plan.hpp"

namespace twinscreen {

/// Tries a whole batch of black pictures before the work begins, so that a batch that does not fit
/// the device is told at once, with one that does (tried too). Throws Error(device). Independent.
void require_fitting_batch(ForwardPlan& forward, std::uint32_t batch_items, Executor& executor);

}  // namespace twinscreen
