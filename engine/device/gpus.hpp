#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/device/executor.hpp"

namespace twinscreen {

/// The GPUs that this process may use.
struct VisibleGpus {
    std::vector<std::string> names;  ///< by ordinal; empty: none
    std::string why_none;            ///< a sentence, with what to do
};

/// Whether this build has CUDA.
bool built_for_gpus() noexcept;

/// Never throws for a missing driver: `why_none` says what is missing. Independent.
VisibleGpus visible_gpus();

/// Throws Error(device) if the GPU cannot be used.
std::unique_ptr<Executor> make_gpu_executor(int ordinal);

}  // namespace twinscreen
