#pragma once

#include <string_view>

#include <cuda_runtime_api.h>

#include "engine/device/device_error.hpp"

namespace twinscreen {

/// Throws Error(device) for anything but success.
inline void cuda_check(cudaError_t code, std::string_view doing)
{
    if (code != cudaSuccess) throw_device_error(code, cudaGetErrorString(code), doing);
}

}  // namespace twinscreen
