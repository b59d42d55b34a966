#include "engine/schedule/plan.hpp"

#include <algorithm>
#include <span>

#include "engine/base/digest.hpp"

namespace twinscreen {

std::uint64_t Plan::shards() const noexcept
{
    return items / shard_items + (items % shard_items != 0 ? 1 : 0);
}

Shard Plan::shard(ShardId id) const
{
    TWINSCREEN_ASSERT(index_of(id) < shards());
    const std::uint64_t first = index_of(id) * shard_items;
    return {id, {ItemId{first}, std::min(shard_items, items - first)}};
}

std::uint64_t Plan::digest() const
{
    Digest digest;
    digest.add(stage).add(items).add(shard_items).add(std::uint64_t{batch_items});
    digest.add(std::uint64_t{threads_per_rank}).add(std::uint64_t{ranks_per_shard});
    digest.add_bytes(std::as_bytes(std::span(relative_cost)));
    return checksum_of(digest.hex());
}

}  // namespace twinscreen
