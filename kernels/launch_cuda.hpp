#pragma once

#include <algorithm>

#include <cuda_runtime_api.h>

#include "kernels/launch_on_device.hpp"

namespace twinscreen {

template <class Body>
__global__ void run_body(std::int64_t count, Body body)
{
    const auto stride = static_cast<std::int64_t>(gridDim.x) * blockDim.x;
    for (std::int64_t index = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
         index < count; index += stride)
        body(index);
}

template <class Body>
LaunchResult launch_on_device(void* stream, std::int64_t count, const Body& body)
{
    constexpr std::int64_t threads = 256;
    constexpr std::int64_t most_blocks = 1 << 20;
    const auto blocks =
        static_cast<unsigned>(std::min((count + threads - 1) / threads, most_blocks));
    run_body<<<blocks, threads, 0, static_cast<cudaStream_t>(stream)>>>(count, body);
    const cudaError_t code = cudaPeekAtLastError();
    return {static_cast<int>(code), cudaGetErrorString(code)};
}

}  // namespace twinscreen
