#define TWINSCREEN_LANES 16
#define TWINSCREEN_TILE_ROWS 14  // 28 sums and 2 weights in 32 registers
#define TWINSCREEN_KERNEL_NAMESPACE avx512
#include "engine/twin/cpu_kernels_body.hpp"

namespace twinscreen {

extern const CpuKernels avx512_kernels;
const CpuKernels avx512_kernels = {
    "avx512",
    avx512::lanes,
    [] { return __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("fma") != 0; },
    avx512::contract,
    avx512::depthwise,
    avx512::add_products,
    avx512::sample,
};

}  // namespace twinscreen
