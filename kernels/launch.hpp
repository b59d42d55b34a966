#pragma once

#include <cstdint>

#include "engine/device/device_error.hpp"
#include "engine/device/executor.hpp"
#include "kernels/for_each.hpp"
#include "kernels/launch_on_device.hpp"

namespace twinscreen {

/// Calls body(0) ... body(count - 1) where the executor works, in the order of its stream; returns
/// at once on a GPU. Independent.
///
/// Bodies are functors marked TWINSCREEN_FUNCTION that hold plain pointers into the executor's
/// memory and write disjoint places. They stand in a header *_bodies.hpp that includes neither
/// engine/ nor Kokkos, and are listed in device_bodies.cpp, which nvcc compiles where there is
/// CUDA.
template <class Body>
void launch(Executor& executor, std::int64_t count, const Body& body)
{
    if (count <= 0) return;
    if (executor.space() == MemorySpace::host) {
        for_each_index(count, body);
        return;
    }
    const LaunchResult result = launch_on_device(executor.native_stream(), count, body);
    if (result.code != 0) throw_device_error(result.code, result.text, "starting a kernel");
}

}  // namespace twinscreen
