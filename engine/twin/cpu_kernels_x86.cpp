#include <array>

#include "engine/twin/cpu_kernel_list.hpp"

namespace twinscreen {

extern const CpuKernels avx512_kernels;
extern const CpuKernels avx2_kernels;
extern const CpuKernels portable_kernels;

std::span<const CpuKernels* const> built_cpu_kernels()
{
    static const std::array<const CpuKernels*, 3> built = {&avx512_kernels, &avx2_kernels,
                                                           &portable_kernels};
    return built;
}

}  // namespace twinscreen
