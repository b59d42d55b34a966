#pragma once

#include <cstdint>

#include "engine/run/forward_plan.hpp"

namespace twinscreen {

/// Tries two batches of black pictures in float32, as many as are ever under way, beside as much
/// memory as a run takes for pictures that travel and `device_bytes` more. Before the work begins,
/// so that a batch that does not fit the device is told at once, with one that does (tried too).
/// Throws Error(device). Independent.
void require_fitting_batch(ForwardPlan& forward, std::uint32_t batch_items,
                           std::size_t device_bytes, Executor& executor);

/// The largest of `most`, a half, a quarter, ... that fits, tried likewise. Throws Error(device)
/// where not even one picture does. Independent.
std::uint32_t largest_fitting_batch(ForwardPlan& forward, std::uint32_t most,
                                    std::size_t device_bytes, Executor& executor);

}  // namespace twinscreen
