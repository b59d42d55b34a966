#include "kernels/runtime.hpp"

#include <Kokkos_Core.hpp>

namespace twinscreen {

KernelRuntime::KernelRuntime()
{
    if (Kokkos::is_initialized()) return;
    Kokkos::initialize();
    started_here_ = true;
}

KernelRuntime::~KernelRuntime()
{
    if (started_here_) Kokkos::finalize();
}

}  // namespace twinscreen
