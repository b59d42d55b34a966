#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "engine/comm/device_collectives.hpp"

namespace twinscreen {

std::unique_ptr<DeviceCollectives> make_local_collectives();
std::unique_ptr<DeviceCollectives> make_staged_collectives(Communicator& communicator);

bool nccl_is_built();
/// Which GPU of the world this is, also where every process sees only its own as GPU 0; empty
/// without CUDA.
std::string gpu_identity(const Executor& executor);
/// Collective. Every rank has another GPU.
std::unique_ptr<DeviceCollectives> make_nccl_collectives(Communicator& communicator,
                                                         Executor& executor,
                                                         std::chrono::milliseconds patience);

/// Throws Error(internal) unless the batch lies in the executor's memory.
void require_space(const ConstBatch& batch, const Executor& executor);
/// Throws Error(internal) unless `all` has room for `mine` of every rank.
void require_room(const ConstBatch& mine, const Batch& all, int ranks);

}  // namespace twinscreen
