#include <algorithm>
#include <ctime>
#include <set>
#include <signal.h>
#include <stdexcept>
#include <thread>

#include <gtest/gtest.h>

#include "engine/schedule/shard_queue.hpp"
#include "engine/schedule/stop_signal.hpp"
#include "tests/support/thread_communicator.hpp"

namespace twinscreen {
namespace {

using namespace std::chrono_literals;

Plan plan_of(std::uint64_t shards)
{
    Plan plan;
    plan.stage = "responses";
    plan.items = shards * 10;
    plan.shard_items = 10;
    return plan;
}

OpenWork everything(const Plan& plan)
{
    OpenWork work;
    for (std::uint64_t id = 0; id < plan.shards(); ++id) work.open.push_back(ShardId{id});
    return work;
}

ShardReport report_of(const Shard& shard)
{
    ShardReport report;
    report.shard = shard.id;
    return report;
}

TEST(LocalQueue, GivesEveryShardOnceAndFinishesUninterrupted)
{
    const Plan plan = plan_of(7);
    std::multiset<std::uint64_t> absorbed;
    QueueOptions options;
    options.absorb = [&](const ShardReport& report) { absorbed.insert(index_of(report.shard)); };
    const auto queue = make_local_queue(plan, everything(plan), options);

    for (std::uint64_t id = 0; id < 7; ++id) {
        const Shard shard = std::get<RunShard>(queue->next()).shard;
        EXPECT_EQ(index_of(shard.id), id);
        EXPECT_EQ(shard.items, (ItemRange{ItemId{id * 10}, 10}));
        queue->completed(report_of(shard));
    }

    EXPECT_FALSE(std::get<Finish>(queue->next()).interrupted);
    EXPECT_TRUE(queue->drain());
    EXPECT_EQ(absorbed, (std::multiset<std::uint64_t>{0, 1, 2, 3, 4, 5, 6}));
}

TEST(LocalQueue, LooksAheadButLeavesFinishToNext)
{
    const Plan plan = plan_of(1);
    const auto queue = make_local_queue(plan, everything(plan), {});

    EXPECT_TRUE(std::holds_alternative<RunShard>(queue->try_next().value()));
    EXPECT_FALSE(queue->try_next().has_value());
    EXPECT_TRUE(std::holds_alternative<Finish>(queue->next()));
}

TEST(LocalQueue, AStopBecomesAnInterruptedFinishAndTheStageIsNotComplete)
{
    const Plan plan = plan_of(3);
    std::atomic<bool> stop = false;
    QueueOptions options;
    options.stop = &stop;
    const auto queue = make_local_queue(plan, everything(plan), options);

    queue->completed(report_of(std::get<RunShard>(queue->next()).shard));
    stop = true;

    EXPECT_TRUE(std::get<Finish>(queue->next()).interrupted);
    EXPECT_FALSE(queue->drain());
}

TEST(LocalQueue, CheckpointsComeByTimeWithRisingEpochsWhileWorkIsLeft)
{
    const Plan plan = plan_of(2);
    QueueOptions options;
    options.checkpoint_interval = 0ms;
    options.first_epoch = 5;
    const auto queue = make_local_queue(plan, everything(plan), options);

    EXPECT_EQ(std::get<JoinCheckpoint>(queue->next()).epoch, 5U);
    EXPECT_EQ(std::get<JoinCheckpoint>(queue->next()).epoch, 6U);
}

TEST(LocalQueue, AReportThatCannotBeAbsorbedStopsTheCallerOfNext)
{
    const Plan plan = plan_of(2);
    QueueOptions options;
    options.absorb = [](const ShardReport&) { throw std::runtime_error("disk full"); };
    const auto queue = make_local_queue(plan, everything(plan), options);

    queue->completed(report_of(std::get<RunShard>(queue->next()).shard));

    EXPECT_THROW(queue->next(), std::runtime_error);
}

// The promise holds for optimised builds; sanitizers and debug builds are several times slower.
#if defined(NDEBUG) && !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__)
constexpr double seconds_to_start = 0.2;
#else
constexpr double seconds_to_start = 4.0;
#endif

TEST(LocalQueue, AMillionShardsAreReadyInAFifthOfASecond)
{
    Plan plan = plan_of(1'000'000);
    plan.relative_cost.resize(1'000'000);
    for (std::size_t i = 0; i < plan.relative_cost.size(); ++i)
        plan.relative_cost[i] = static_cast<float>(i * 7919 % 1'000'003);
    const OpenWork work = everything(plan);
    // Time of this process, best of three: other work of the machine does not count.
    double best = 1e9;
    for (int repeat = 0; repeat < 3; ++repeat) {
        const std::clock_t before = std::clock();
        const auto queue = make_local_queue(plan, work, {});
        const Instruction first = queue->next();
        best = std::min(best, static_cast<double>(std::clock() - before) / CLOCKS_PER_SEC);
        EXPECT_TRUE(std::holds_alternative<RunShard>(first));
    }

    EXPECT_LT(best, seconds_to_start);
}

TEST(StaticQueue, DealsShardsOutInTurnAndRankZeroAbsorbsEveryReport)
{
    const Plan plan = plan_of(10);
    std::vector<std::uint64_t> rank_of_shard(10);
    std::multiset<std::uint64_t> absorbed;
    QueueOptions options;
    options.absorb = [&](const ShardReport& report) { absorbed.insert(index_of(report.shard)); };

    test::run_as_ranks(3, [&](Communicator& communicator) {
        const auto queue = make_static_queue(plan, everything(plan), communicator, options);
        for (Instruction todo = queue->next(); !std::holds_alternative<Finish>(todo);
             todo = queue->next()) {
            const Shard shard = std::get<RunShard>(todo).shard;
            rank_of_shard[index_of(shard.id)] = static_cast<std::uint64_t>(communicator.rank());
            queue->completed(report_of(shard));
        }
        EXPECT_TRUE(queue->drain());
    });

    for (std::uint64_t id = 0; id < 10; ++id) EXPECT_EQ(rank_of_shard[id], id % 3);
    EXPECT_EQ(absorbed, (std::multiset<std::uint64_t>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}));
}

TEST(StaticQueue, AllRanksKnowThatOneOfThemWasInterrupted)
{
    const Plan plan = plan_of(4);
    std::atomic<bool> stop = true;

    test::run_as_ranks(2, [&](Communicator& communicator) {
        QueueOptions options;
        if (communicator.rank() == 1) options.stop = &stop;
        const auto queue = make_static_queue(plan, everything(plan), communicator, options);
        for (Instruction todo = queue->next(); !std::holds_alternative<Finish>(todo);
             todo = queue->next())
            queue->completed(report_of(std::get<RunShard>(todo).shard));
        EXPECT_FALSE(queue->drain());
    });
}

TEST(StopSignalDeathTest, TheFirstSignalAsksAndOneDeliveredTwiceIsOneRequest)
{
    EXPECT_EXIT(
        {
            install_stop_signals();
            const bool before = stop_requested();
            raise(SIGTERM);
            raise(SIGTERM);
            const bool asked = !before && stop_requested() && stop_signal() == SIGTERM;
            _exit(asked ? 0 : 1);
        },
        testing::ExitedWithCode(0), "");
}

TEST(StopSignalDeathTest, ASecondSignalLaterExitsAtOnceAsResumable)
{
    EXPECT_EXIT(
        {
            install_stop_signals();
            raise(SIGUSR1);
            raise(SIGINT);
            std::this_thread::sleep_for(600ms);
            raise(SIGINT);
            _exit(1);
        },
        testing::ExitedWithCode(75), "");
}

TEST(StopSignalDeathTest, AnyNumberOfUserSignalsStaysACleanStop)
{
    EXPECT_EXIT(
        {
            install_stop_signals();
            raise(SIGUSR1);
            std::this_thread::sleep_for(600ms);
            raise(SIGUSR1);
            _exit(stop_signal() == SIGUSR1 ? 0 : 1);
        },
        testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace twinscreen
