#pragma once

#include "engine/run/campaign.hpp"

namespace twinscreen {

/// Memory of one rank, in bytes, as far as the plan tells.
struct MemoryEstimate {
    double twins = 0.0;  ///< and libraries
    double inputs = 0.0;
    double shard = 0.0;
    double writer = 0.0;
    double total() const { return twins + inputs + shard + writer; }
};

/// ranks  on one node
MemoryEstimate memory_of(const StagePlan& stage, const Campaign& campaign, int ranks);

}  // namespace twinscreen
