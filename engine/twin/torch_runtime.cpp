#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <malloc.h>
#include <torch/version.h>

#include "engine/twin/bundle.hpp"
#include "engine/twin/cpu_kernels.hpp"

namespace twinscreen {

void set_compute_threads(int threads)
{
    TWINSCREEN_REQUIRE(threads >= 1, internal, "{} compute threads asked for", threads);
    at::set_num_threads(threads);
    // Activations of a few MB are allocated and freed for every batch: keep their pages instead of
    // giving them back to the kernel and faulting them in again.
    constexpr int keep_below = 1 << 30;  // [bytes]
    mallopt(M_MMAP_THRESHOLD, keep_below);
    mallopt(M_TRIM_THRESHOLD, keep_below);
}

std::string numerics_fingerprint()
{
    return fmt::format("cpu {} kernels {} libtorch {} twinscreen {}", at::get_cpu_capability(),
                       cpu_kernels().name, TORCH_VERSION, TWINSCREEN_VERSION);
}

}  // namespace twinscreen
