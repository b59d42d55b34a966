#pragma once

#include <memory>
#include <string>

#include "engine/device/gpus.hpp"

namespace twinscreen {

/// `device` of a campaign.
enum class DeviceKind { automatic, cpu, gpu, emulated };

/// What a campaign asks for and where this rank stands on its node.
struct DeviceRequest {
    DeviceKind kind = DeviceKind::automatic;
    bool share_gpus = false;  ///< several ranks may use one GPU
    int node_rank = 0;        ///< number of this rank on its node
    int node_ranks = 1;       ///< ranks of the node
};

/// Where a rank computes.
struct DeviceChoice {
    DeviceKind kind = DeviceKind::cpu;  ///< never automatic
    int ordinal = -1;                   ///< of the GPU
};

/// Rank r of a node takes GPU r modulo the number of GPUs. Throws Error(device): no GPU where one
/// is asked for, or more ranks than GPUs that may not be shared. Pure.
DeviceChoice choose_device(const DeviceRequest& request, const VisibleGpus& gpus);

/// Throws Error(device) if the GPU cannot be used.
std::unique_ptr<Executor> make_executor(const DeviceChoice& choice);

}  // namespace twinscreen
