#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/base/types.hpp"

namespace twinscreen {

struct Shard {
    ShardId id{};
    ItemRange items;
};

/// How one stage is cut into shards. Everything that results may depend on is in the digest; the
/// number of ranks is not part of it.
struct Plan {
    std::string stage;                   ///< "responses", "null_draws", "search", ...
    std::uint64_t items = 0;             ///< total work of the stage
    std::uint64_t shard_items = 1;       ///< the same on every rank and for every rank count
    std::uint32_t batch_items = 1;       ///< compute batch; the last one of a shard is padded
    std::uint32_t threads_per_rank = 1;  ///< compute threads, never taken from affinity
    std::uint32_t ranks_per_shard = 1;   ///< a team computes one shard together
    std::vector<float> relative_cost;    ///< per shard; empty: all equal. Dear shards come first

    std::uint64_t shards() const noexcept;
    /// Precondition: index_of(id) < shards(). The last shard may be shorter.
    Shard shard(ShardId id) const;
    /// XXH3-64 of all members; stored with the results, compared on resume.
    std::uint64_t digest() const;
};

}  // namespace twinscreen
