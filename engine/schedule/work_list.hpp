#pragma once

#include <cstddef>
#include <vector>

#include "engine/schedule/shard_queue.hpp"

namespace twinscreen {

/// The open work of a stage in the order in which it is handed out: suspect shards by id, so that a
/// torn one is found early; then open ones by falling relative cost, equal ones by id.
class WorkList {
public:
    WorkList(const Plan& plan, const OpenWork& work);

    std::size_t size() const noexcept { return order_.size(); }
    /// VerifyShard or RunShard; precondition: position < size().
    Instruction at(std::size_t position) const;

private:
    Plan plan_;  // what Plan::shard needs of it: costs may be large
    std::vector<ShardId> order_;
    std::size_t suspects_;
};

}  // namespace twinscreen
