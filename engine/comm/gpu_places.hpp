#pragma once

#include <span>
#include <string>

namespace twinscreen {

/// Where a rank computes.
struct GpuPlace {
    std::string host;
    std::string gpu;   ///< which GPU of the world; empty on a processor
    int ordinal = -1;  ///< its number for this process, -1 on a processor
};

/// Why the ranks cannot exchange values from GPU to GPU, as a clause: two that share one ("ranks 0
/// and 1 on node7 share GPU 0"), or one without. Empty if each has a GPU of its own. Pure.
std::string why_not_between_gpus(std::span<const GpuPlace> places);

}  // namespace twinscreen
