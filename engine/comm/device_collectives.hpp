#pragma once

#include <chrono>
#include <memory>
#include <string_view>

#include "engine/comm/communicator.hpp"
#include "engine/device/executor.hpp"

namespace twinscreen {

/// Values that the ranks of a job exchange from where they lie, on a GPU or in host memory. Types
/// and shapes are the same on every rank; batches lie in the executor's memory.
///
/// Every call is collective, comes after the work given to the executor before, and has its result
/// in place when it returns: here the host waits. Throws Error(communication) when the exchange
/// fails or stands still; the job cannot go on then.
class DeviceCollectives {
public:
    virtual ~DeviceCollectives() = default;
    /// "nccl", "staged" (through host memory) or "local" (one rank).
    virtual std::string_view backend() const noexcept = 0;
    virtual void broadcast(Batch values, int root, Executor& executor) = 0;
    /// Last bits may depend on size(): nothing that is published goes through here. Integers wrap.
    virtual void sum_in_place(Batch values, Executor& executor) = 0;
    /// `all` gets the elements of rank 0, of rank 1, ...; it does not overlap `mine`.
    virtual void all_gather(ConstBatch mine, Batch all, Executor& executor) = 0;
};

/// Collective. NCCL where this build has it and every rank computes on a GPU of its own; else
/// through host memory, and if that is a detour rank 0 logs why.
///
/// executor  the one that all calls will name
/// patience  how long NCCL may stand still before the job ends, beyond the time that the bytes need
std::unique_ptr<DeviceCollectives> make_device_collectives(
    Communicator& communicator, Executor& executor,
    std::chrono::milliseconds patience = std::chrono::seconds(60));

}  // namespace twinscreen
