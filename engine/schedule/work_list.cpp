#include "engine/schedule/work_list.hpp"

#include <algorithm>
#include <utility>

namespace twinscreen {

WorkList::WorkList(const Plan& plan, const OpenWork& work)
    : order_(work.suspect), suspects_(work.suspect.size())
{
    plan_.stage = plan.stage;
    plan_.items = plan.items;
    plan_.shard_items = plan.shard_items;
    TWINSCREEN_REQUIRE(plan.relative_cost.empty() || plan.relative_cost.size() == plan.shards(),
                       internal, "stage '{}' has {} relative costs for {} shards", plan.stage,
                       plan.relative_cost.size(), plan.shards());
    order_.insert(order_.end(), work.open.begin(), work.open.end());
    for (const ShardId id : order_)
        TWINSCREEN_REQUIRE(index_of(id) < plan.shards(), internal,
                           "shard {} is open in stage '{}', which has {} shards", index_of(id),
                           plan.stage, plan.shards());
    const auto first_open = order_.begin() + static_cast<std::ptrdiff_t>(suspects_);
    std::sort(order_.begin(), first_open);
    if (plan.relative_cost.empty()) {
        if (!std::is_sorted(first_open, order_.end())) std::sort(first_open, order_.end());
        return;
    }
    // Costs beside the numbers: a million shards sort twice as fast as through the plan.
    std::vector<std::pair<float, ShardId>> by_cost;
    by_cost.reserve(work.open.size());
    for (const ShardId id : work.open) by_cost.emplace_back(-plan.relative_cost[index_of(id)], id);
    std::sort(by_cost.begin(), by_cost.end());
    std::transform(by_cost.begin(), by_cost.end(), first_open,
                   [](const auto& priced) { return priced.second; });
}

Instruction WorkList::at(std::size_t position) const
{
    const Shard shard = plan_.shard(order_[position]);
    if (position < suspects_) return VerifyShard{shard};
    return RunShard{shard};
}

}  // namespace twinscreen
