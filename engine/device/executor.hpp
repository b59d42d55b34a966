#pragma once

#include <cstddef>
#include <memory>

#include "engine/base/types.hpp"

namespace twinscreen {

/// Where memory lives and work runs: one ordered stream of work, shared by the twins, kernels and
/// copies of one worker. Independent.
class Executor {
public:
    virtual ~Executor() = default;
    virtual MemorySpace space() const noexcept = 0;
    /// GPU index on this node, -1 on the host.
    virtual int ordinal() const noexcept = 0;
    /// A cudaStream_t, nullptr on the host.
    virtual void* native_stream() const noexcept = 0;
    /// On failure names the bytes wanted and the bytes free.
    virtual void* allocate(std::size_t bytes) = 0;
    virtual void deallocate(void* block) noexcept = 0;
    /// Stream-ordered; type and shape must match.
    virtual void copy(Batch to, ConstBatch from) = 0;
    virtual void synchronize() = 0;
};

std::unique_ptr<Executor> make_host_executor();

}  // namespace twinscreen
