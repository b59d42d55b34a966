#include "engine/schedule/plan.hpp"

#include <algorithm>
#include <functional>
#include <set>

#include <gtest/gtest.h>

#include "engine/schedule/work_list.hpp"
#include "tests/support/support.hpp"

namespace twinscreen {
namespace {

Plan plan_of(std::uint64_t items, std::uint64_t shard_items)
{
    Plan plan;
    plan.stage = "responses";
    plan.items = items;
    plan.shard_items = shard_items;
    return plan;
}

std::vector<std::uint64_t> ids_in_order(const WorkList& work)
{
    std::vector<std::uint64_t> ids;
    for (std::size_t i = 0; i < work.size(); ++i) {
        const Instruction instruction = work.at(i);
        if (const auto* run = std::get_if<RunShard>(&instruction))
            ids.push_back(index_of(run->shard.id));
        else
            ids.push_back(1000 + index_of(std::get<VerifyShard>(instruction).shard.id));
    }
    return ids;
}

TEST(Plan, ShardsCoverEveryItemOnceAndTheLastIsShorter)
{
    for (const std::uint64_t items : {0, 1, 9, 10, 11, 100, 101})
        for (const std::uint64_t shard_items : {1, 3, 10}) {
            const Plan plan = plan_of(items, shard_items);

            std::uint64_t covered = 0;
            for (std::uint64_t id = 0; id < plan.shards(); ++id) {
                const Shard shard = plan.shard(ShardId{id});
                EXPECT_EQ(index_of(shard.id), id);
                EXPECT_EQ(index_of(shard.items.first), covered);
                EXPECT_EQ(shard.items.count, std::min(shard_items, items - covered));
                covered += shard.items.count;
            }

            EXPECT_EQ(covered, items);
        }
}

TEST(Plan, ItemCountsNearTheLargestNumberDoNotOverflow)
{
    const std::uint64_t largest = ~std::uint64_t{0};
    const Plan plan = plan_of(largest, 1000);

    EXPECT_EQ(plan.shards(), largest / 1000 + 1);
    EXPECT_EQ(plan.shard(ShardId{plan.shards() - 1}).items.count, largest % 1000);
}

TEST(Plan, DigestDependsOnEveryMember)
{
    const Plan plan = plan_of(1000, 10);
    const std::vector<std::function<void(Plan&)>> changes = {
        [](Plan& changed) { changed.stage = "search"; },
        [](Plan& changed) { changed.items = 1001; },
        [](Plan& changed) { changed.shard_items = 11; },
        [](Plan& changed) { changed.batch_items = 2; },
        [](Plan& changed) { changed.threads_per_rank = 2; },
        [](Plan& changed) { changed.ranks_per_shard = 2; },
        [](Plan& changed) { changed.relative_cost.assign(100, 1.0F); },
        [](Plan& changed) { changed.relative_cost.assign(100, 2.0F); },
    };

    std::set<std::uint64_t> digests = {plan.digest()};
    for (const auto& change : changes) {
        Plan changed = plan;
        change(changed);
        digests.insert(changed.digest());
    }

    EXPECT_EQ(digests.size(), changes.size() + 1);
    EXPECT_EQ(plan.digest(), plan_of(1000, 10).digest());
}

TEST(WorkList, HandsOutSuspectShardsFirstThenDearOnesThenByNumber)
{
    Plan plan = plan_of(8, 1);
    plan.relative_cost = {1, 5, 1, 9, 5, 1, 1, 1};

    const WorkList work(plan, {{ShardId{6}, ShardId{2}},
                               {ShardId{7}, ShardId{4}, ShardId{3}, ShardId{1}, ShardId{0}}});

    EXPECT_EQ(ids_in_order(work), (std::vector<std::uint64_t>{1002, 1006, 3, 1, 4, 0, 7}));
}

TEST(WorkList, WithoutCostsTheOrderIsThatOfTheNumbers)
{
    const WorkList work(plan_of(5, 1), {{}, {ShardId{4}, ShardId{0}, ShardId{2}}});

    EXPECT_EQ(ids_in_order(work), (std::vector<std::uint64_t>{0, 2, 4}));
}

TEST(WorkList, RefusesShardsAndCostsThatDoNotFitThePlan)
{
    Plan plan = plan_of(5, 1);
    EXPECT_EQ(test::error_text([&] {
                  WorkList(plan, {{}, {ShardId{5}}});
              }),
              "shard 5 is open in stage 'responses', which has 5 shards");
    plan.relative_cost = {1, 2};
    EXPECT_EQ(test::error_text([&] {
                  WorkList(plan, {{}, {}});
              }),
              "stage 'responses' has 2 relative costs for 5 shards");
}

}  // namespace
}  // namespace twinscreen
