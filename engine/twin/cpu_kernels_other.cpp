#include <array>

#include "engine/twin/cpu_kernel_list.hpp"

namespace twinscreen {

extern const CpuKernels portable_kernels;

std::span<const CpuKernels* const> built_cpu_kernels()
{
    static const std::array<const CpuKernels*, 1> built = {&portable_kernels};
    return built;
}

}  // namespace twinscreen
