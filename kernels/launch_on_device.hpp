#pragma once

#include <cstdint>

namespace twinscreen {

struct LaunchResult {
    int code = 0;  ///< a cudaError_t
    const char* text = "";
};

/// Starts the body on a CUDA stream. Defined in device_bodies.cpp for the bodies listed there.
template <class Body>
LaunchResult launch_on_device(void* stream, std::int64_t count, const Body& body);

}  // namespace twinscreen
