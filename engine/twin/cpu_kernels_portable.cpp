#define TWINSCREEN_LANES 4
#define TWINSCREEN_TILE_ROWS 4
#define TWINSCREEN_KERNEL_NAMESPACE portable
#include "engine/twin/cpu_kernels_body.hpp"

namespace twinscreen {

extern const CpuKernels portable_kernels;
const CpuKernels portable_kernels = {
    "portable",          portable::lanes,        [] { return true; }, portable::contract,
    portable::depthwise, portable::add_products, portable::sample,
};

}  // namespace twinscreen
