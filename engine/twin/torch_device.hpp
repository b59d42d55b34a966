#pragma once

#include <functional>
#include <memory>

#include "engine/device/executor.hpp"

namespace twinscreen {

/// Opens LibTorch's CUDA library where a GPU is visible. LibTorch looks for it once, at its first
/// computation: call this before the first twin is loaded. Does nothing without GPUs. Independent.
void open_gpu_library();

/// Makes this thread's networks work in the order of the executor's stream, in full float32 and
/// with algorithms that repeat their bits. Throws Error(device) where LibTorch cannot use the GPU.
void use_for_networks(const Executor& executor);

/// Work on networks that can be given again and again at the cost of one call.
class RecordedWork {
public:
    virtual ~RecordedWork() = default;
    /// In the order of the executor's stream. Throws Error(device).
    virtual void give() = 0;
};

/// Work that always reads and writes the same places of the executor, which must outlive the
/// recording, and never waits. It must have been done twice before: libraries choose their
/// workspaces then. On a GPU it is called once, and what it gives to the stream is recorded, not
/// run (a CUDA graph); its temporary memory is kept as long as the recording. Elsewhere giving
/// means calling it. Nothing, with a warning, where a GPU cannot record it.
std::unique_ptr<RecordedWork> record(const Executor& executor, std::function<void()> work);

/// Gives back what LibTorch keeps of the GPU's memory for later.
void give_back_unused_memory(const Executor& executor);

/// Runs work on networks; what LibTorch says of a failed GPU becomes Error(device).
void with_device_errors(const Executor& executor, const std::function<void()>& work);

}  // namespace twinscreen
