#pragma once

#include <span>

#include "engine/twin/cpu_kernels.hpp"

namespace twinscreen {

/// All that this build holds, best first, whether this processor can run them or not.
std::span<const CpuKernels* const> built_cpu_kernels();

}  // namespace twinscreen
