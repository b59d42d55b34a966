#include <atomic>
#include <mutex>
#include <random>
#include <thread>

#include <gtest/gtest.h>

#include "engine/schedule/shard_queue.hpp"

namespace twinscreen {
namespace {

using namespace std::chrono_literals;

Plan plan_of(std::uint64_t shards)
{
    Plan plan;
    plan.stage = "responses";
    plan.items = shards;
    return plan;
}

OpenWork everything(const Plan& plan, std::uint64_t suspects = 0)
{
    OpenWork work;
    for (std::uint64_t id = 0; id < plan.shards(); ++id)
        (id < suspects ? work.suspect : work.open).push_back(ShardId{id});
    return work;
}

/// What one rank did, and on rank 0 what was absorbed.
struct Log {
    std::vector<double> started;  // [shards] times this shard was started, summed over ranks
    std::vector<double> absorbed;
    std::vector<std::uint32_t> epochs;
    std::size_t mine = 0;
    bool interrupted = false;
    bool complete = false;
};

/// The loop of a rank. Shards are reported by another thread, as a writer does, somewhat later.
Log work_through(Communicator& communicator, const Plan& plan, const OpenWork& work,
                 QueueOptions options, const std::function<void(const Shard&)>& compute)
{
    Log log;
    log.started.resize(plan.shards());
    log.absorbed.resize(plan.shards());
    options.absorb = [&](const ShardReport& report) { log.absorbed[index_of(report.shard)] += 1; };
    const auto queue = make_shard_queue(plan, work, communicator, options);
    std::vector<std::thread> writers;
    const auto run = [&](const Shard& shard) {
        log.started[index_of(shard.id)] += 1;
        ++log.mine;
        compute(shard);
        ShardReport report;
        report.shard = shard.id;
        report.rank = communicator.rank();
        if (log.mine % 16 != 0) {
            queue->completed(report);
            return;
        }
        writers.emplace_back([&queue, report] {
            std::this_thread::sleep_for(5ms);
            queue->completed(report);
        });
    };
    for (;;) {
        const Instruction todo = queue->next();
        if (const auto* run_shard = std::get_if<RunShard>(&todo))
            run(run_shard->shard);
        else if (const auto* verify = std::get_if<VerifyShard>(&todo))
            run(verify->shard);
        else if (const auto* join = std::get_if<JoinCheckpoint>(&todo)) {
            log.epochs.push_back(join->epoch);
            communicator.barrier();  // would hang if any rank were not to come
        } else {
            log.interrupted = std::get<Finish>(todo).interrupted;
            break;
        }
    }
    for (std::thread& writer : writers) writer.join();
    log.complete = queue->drain();
    communicator.all_reduce(log.started, Reduction::sum);
    return log;
}

void sleep_at_random(std::mt19937_64& rng, int below_us)
{
    std::this_thread::sleep_for(
        std::chrono::microseconds(rng() % static_cast<std::uint64_t>(below_us)));
}

TEST(ShardQueue, GivesEveryShardExactlyOnceWithRandomComputeTimes)
{
    const auto communicator = make_mpi_communicator();
    const Plan plan = plan_of(600);
    std::mt19937_64 rng(static_cast<std::uint64_t>(communicator->rank()));

    const Log log = work_through(*communicator, plan, everything(plan, 50), {},
                                 [&](const Shard&) { sleep_at_random(rng, 1000); });

    EXPECT_EQ(log.started, std::vector<double>(600, 1.0));
    EXPECT_FALSE(log.interrupted);
    EXPECT_TRUE(log.complete);
    if (communicator->rank() == 0) {
        EXPECT_EQ(log.absorbed, std::vector<double>(600, 1.0));
    }
}

TEST(ShardQueue, ASlowRankGetsFewerShards)
{
    const auto communicator = make_mpi_communicator();
    const Plan plan = plan_of(200);
    const int slow = communicator->size() - 1;
    const bool alone = communicator->size() == 1;
    const auto pause = communicator->rank() == slow && !alone ? 20ms : 1ms;

    const Log log = work_through(*communicator, plan, everything(plan), {},
                                 [&](const Shard&) { std::this_thread::sleep_for(pause); });

    EXPECT_EQ(log.started, std::vector<double>(200, 1.0));
    if (communicator->rank() == slow && !alone) {
        EXPECT_LT(log.mine, 40U);
        EXPECT_GT(log.mine, 0U);
    }
}

TEST(ShardQueue, EveryRankJoinsEveryCheckpointOnceInOrder)
{
    const auto communicator = make_mpi_communicator();
    const Plan plan = plan_of(300);
    QueueOptions options;
    options.checkpoint_interval = 20ms;
    options.first_epoch = 4;

    const Log log = work_through(*communicator, plan, everything(plan), options,
                                 [](const Shard&) { std::this_thread::sleep_for(1ms); });

    ASSERT_GE(log.epochs.size(), 1U);
    for (std::size_t i = 0; i < log.epochs.size(); ++i) EXPECT_EQ(log.epochs[i], 4 + i);
    std::vector<double> fewest = {static_cast<double>(log.epochs.size())};
    communicator->all_reduce(fewest, Reduction::min);
    EXPECT_EQ(fewest[0], static_cast<double>(log.epochs.size()));
    EXPECT_EQ(log.started, std::vector<double>(300, 1.0));
}

TEST(ShardQueue, AStopOnTheLastRankInterruptsAll)
{
    const auto communicator = make_mpi_communicator();
    const Plan plan = plan_of(1'000'000);
    std::atomic<bool> stop = false;
    QueueOptions options;
    options.stop = &stop;
    int done = 0;

    const Log log = work_through(*communicator, plan, everything(plan), options, [&](const Shard&) {
        std::this_thread::sleep_for(2ms);
        if (++done == 10 && communicator->rank() == communicator->size() - 1) stop = true;
    });

    EXPECT_TRUE(log.interrupted);
    EXPECT_FALSE(log.complete);
    for (const double times : log.started) ASSERT_LE(times, 1.0);
    if (communicator->rank() == 0) {
        EXPECT_EQ(log.absorbed, log.started) << "what was started was sealed and absorbed";
    }
}

TEST(ShardQueue, MoreRanksThanShardsIsFine)
{
    const auto communicator = make_mpi_communicator();
    for (const std::uint64_t shards : {0, 1, 3}) {
        const Plan plan = plan_of(shards);
        const Log log =
            work_through(*communicator, plan, everything(plan), {}, [](const Shard&) {});
        EXPECT_EQ(log.started, std::vector<double>(shards, 1.0));
        EXPECT_TRUE(log.complete);
    }
}

TEST(ShardQueue, StagesFollowEachOtherWithoutMixingTheirLetters)
{
    const auto communicator = make_mpi_communicator();
    for (std::uint64_t stage = 0; stage < 20; ++stage) {
        const Plan plan = plan_of(20 + stage);
        const Log log =
            work_through(*communicator, plan, everything(plan), {}, [](const Shard&) {});
        EXPECT_EQ(log.started, std::vector<double>(20 + stage, 1.0));
    }
}

TEST(StaticQueue, GivesTheSameShardsOverProcesses)
{
    const auto communicator = make_mpi_communicator();
    const Plan plan = plan_of(11);
    std::vector<double> started(11);
    std::size_t absorbed = 0;
    QueueOptions options;
    options.absorb = [&](const ShardReport&) { ++absorbed; };
    const auto queue = make_static_queue(plan, everything(plan), *communicator, options);

    for (Instruction todo = queue->next(); !std::holds_alternative<Finish>(todo);
         todo = queue->next()) {
        ShardReport report;
        report.shard = std::get<RunShard>(todo).shard.id;
        started[index_of(report.shard)] += 1;
        queue->completed(report);
    }

    EXPECT_TRUE(queue->drain());
    communicator->all_reduce(started, Reduction::sum);
    EXPECT_EQ(started, std::vector<double>(11, 1.0));
    EXPECT_EQ(absorbed, communicator->rank() == 0 ? 11U : 0U);
}

}  // namespace
}  // namespace twinscreen
