#pragma once

#include <functional>
#include <string>

#include "engine/run/campaign.hpp"

namespace twinscreen::test {

/// What `chain_campaign` does beside its arithmetic; counts the work of this process.
struct ChainProbe {
    std::uint64_t steps = 0;  ///< taken so far, of all shards
    /// Called before every step, with the shard and the number of the step within it.
    std::function<void(std::uint64_t shard, std::uint64_t step)> before_step;
};

/// A campaign of long shards: one stage "chains", each shard one chain of `steps` steps, each step
/// a function of the one before and the seed. Keeps its state in the shard scratch.
///
/// probe      outlives the campaign
/// overrides  as of --set
Campaign chain_campaign(std::uint64_t shards, std::uint64_t steps, ChainProbe& probe,
                        std::vector<std::string> overrides = {});

}  // namespace twinscreen::test
