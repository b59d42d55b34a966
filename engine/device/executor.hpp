#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "engine/base/types.hpp"

namespace twinscreen {

/// A place in the order of an executor's work that the host can wait for.
class Milestone {
public:
    virtual ~Milestone() = default;
    /// Everything given to the executor before this call.
    virtual void set() = 0;
    /// Until it is reached; returns at once if it was never set. Throws Error(device).
    virtual void wait() = 0;
};

/// Something in an executor's memory that later shards may want again.
class Kept {
public:
    virtual ~Kept() = default;
};

/// Where memory lives and work runs: one ordered stream of work, shared by the twins, kernels and
/// copies of one worker. Independent; one thread. Everything throws Error(device) when the device
/// fails.
class Executor {
public:
    virtual ~Executor() = default;
    virtual MemorySpace space() const noexcept = 0;
    /// GPU index on this node, -1 on the host.
    virtual int ordinal() const noexcept = 0;
    /// "host", "NVIDIA H200": part of what bits depend on.
    virtual std::string name() const = 0;
    /// A cudaStream_t, nullptr on the host.
    virtual void* native_stream() const noexcept = 0;
    /// True where a network is fastest as large tensor operations on whole batches (a GPU); false
    /// where images run one by one through the caches.
    virtual bool wants_whole_batches() const noexcept = 0;
    /// On failure names the bytes wanted and the bytes free.
    virtual void* allocate(std::size_t bytes) = 0;
    virtual void deallocate(void* block) noexcept = 0;
    /// Host memory that copies reach without a detour. This one and deallocate_pinned may be called
    /// by any thread at any time (cudaMallocHost is thread-safe): readers grow their batches. Slow
    /// on a GPU; freeing may wait for work under way.
    virtual void* allocate_pinned(std::size_t bytes) = 0;
    virtual void deallocate_pinned(void* block) noexcept = 0;
    /// Stream-ordered; type and shape must match. Host memory must be pinned and stay as it is
    /// until a milestone behind the copy is reached.
    virtual void copy(Batch to, ConstBatch from) = 0;
    /// From pinned memory to the device's, beside work that was given before and is still going on:
    /// waits only until `is_free` is reached, work given later waits for it.
    virtual void upload(Batch to, ConstBatch from, Milestone& is_free) = 0;
    virtual std::unique_ptr<Milestone> make_milestone() = 0;
    /// Until all work is done.
    virtual void synchronize() = 0;
    /// How often the host has waited for the device: inside a shard only for results.
    virtual std::uint64_t waits() const noexcept = 0;
    /// Memory of the device that nobody uses now [bytes].
    virtual std::size_t free_bytes() const = 0;
    /// All memory of the device, in use or not [bytes].
    virtual std::size_t total_bytes() const = 0;
    /// What stays from one shard to the next, one thing at a time; goes before the executor does.
    virtual std::unique_ptr<Kept>& kept() noexcept = 0;
};

std::unique_ptr<Executor> make_host_executor();
/// The way of a GPU on the processor: whole batches as tensor operations. Slow; for trying without
/// a GPU what a job will do on one.
std::unique_ptr<Executor> make_emulated_executor();

}  // namespace twinscreen
