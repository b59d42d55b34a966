#define TWINSCREEN_LANES 8
#define TWINSCREEN_TILE_ROWS 6  // 12 sums and 2 weights in 16 registers
#define TWINSCREEN_KERNEL_NAMESPACE avx2
#include "engine/twin/cpu_kernels_body.hpp"

namespace twinscreen {

extern const CpuKernels avx2_kernels;
const CpuKernels avx2_kernels = {
    "avx2",
    avx2::lanes,
    [] { return __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0; },
    avx2::contract,
    avx2::depthwise,
    avx2::add_products,
    avx2::sample,
};

}  // namespace twinscreen
