#pragma once

#include <functional>

#include "engine/device/executor.hpp"

namespace twinscreen {

/// Opens LibTorch's CUDA library where a GPU is visible. LibTorch looks for it once, at its first
/// computation: call this before the first twin is loaded. Does nothing without GPUs. Independent.
void open_gpu_library();

/// Makes this thread's networks work in the order of the executor's stream, in full float32 and
/// with algorithms that repeat their bits. Throws Error(device) where LibTorch cannot use the GPU.
void use_for_networks(const Executor& executor);

/// Gives back what LibTorch keeps of the GPU's memory for later.
void give_back_unused_memory(const Executor& executor);

/// Runs work on networks; what LibTorch says of a failed GPU becomes Error(device).
void with_device_errors(const Executor& executor, const std::function<void()>& work);

}  // namespace twinscreen
