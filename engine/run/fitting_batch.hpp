#pragma once

#include <cstdint>

#include "engine/run/forward_plan.hpp"

namespace twinscreen {

/// Tries two batches of black pictures, as many as are ever under way, before the work begins, so
/// that a batch that does not fit the device is told at once, with one that does (tried too).
/// Throws Error(device). Independent.
void require_fitting_batch(ForwardPlan& forward, std::uint32_t batch_items, Executor& executor);

/// The largest of `most`, a half, a quarter, ... that fits, tried likewise. Throws Error(device)
/// where not even one picture does. Independent.
std::uint32_t largest_fitting_batch(ForwardPlan& forward, std::uint32_t most, Executor& executor);

}  // namespace twinscreen
