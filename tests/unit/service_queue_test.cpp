#include <array>
#include <mutex>
#include <set>
#include <stdexcept>
#include <thread>

#include <gtest/gtest.h>

#include "engine/base/error.hpp"
#include "engine/schedule/service_protocol.hpp"
#include "engine/schedule/shard_queue.hpp"
#include "tests/support/thread_communicator.hpp"

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

TEST(ServiceQueue, AbsorbsEveryReportBeforeDrainReturnsAlsoLateOnes)
{
    const Plan plan = plan_of(40);
    std::multiset<std::uint64_t> absorbed;  // one thread at a time: no lock

    test::run_as_ranks(3, [&](Communicator& communicator) {
        QueueOptions options;
        options.absorb = [&](const ShardReport& report) {
            absorbed.insert(index_of(report.shard));
        };
        const auto queue = make_service_queue(plan, everything(plan), communicator, options);
        std::vector<Shard> mine;
        for (Instruction todo = queue->next(); !std::holds_alternative<Finish>(todo);
             todo = queue->next())
            mine.push_back(std::get<RunShard>(todo).shard);
        std::thread writer([&] {
            for (const Shard& shard : mine) queue->completed(report_of(shard));
        });
        writer.join();

        EXPECT_TRUE(queue->drain());
        EXPECT_TRUE(communicator.rank() != 0 || absorbed.size() == 40);
    });

    for (std::uint64_t id = 0; id < 40; ++id) EXPECT_EQ(absorbed.count(id), 1U);
}

TEST(ServiceQueue, ASlowAbsorberDoesNotHoldUpClaims)
{
    const Plan plan = plan_of(20);
    std::atomic<bool> may_absorb = false;
    std::atomic<int> absorbed = 0;

    test::run_as_ranks(2, [&](Communicator& communicator) {
        QueueOptions options;
        options.absorb = [&](const ShardReport&) {
            may_absorb.wait(false);
            ++absorbed;
        };
        const auto queue = make_service_queue(plan, everything(plan), communicator, options);
        for (Instruction todo = queue->next(); !std::holds_alternative<Finish>(todo);
             todo = queue->next())
            queue->completed(report_of(std::get<RunShard>(todo).shard));
        EXPECT_EQ(absorbed, 0);
        communicator.barrier();
        may_absorb = true;
        may_absorb.notify_all();
        EXPECT_TRUE(queue->drain());
    });

    EXPECT_EQ(absorbed, 20);
}

TEST(ServiceQueue, AReportThatCannotBeAbsorbedAtTheEndFailsInDrainOnRankZero)
{
    const Plan plan = plan_of(2);
    std::atomic<bool> may_absorb = false;

    test::run_as_ranks(2, [&](Communicator& communicator) {
        QueueOptions options;
        options.absorb = [&](const ShardReport&) {
            may_absorb.wait(false);
            throw std::runtime_error("disk full");
        };
        const auto queue = make_service_queue(plan, everything(plan), communicator, options);
        for (Instruction todo = queue->next(); !std::holds_alternative<Finish>(todo);
             todo = queue->next())
            queue->completed(report_of(std::get<RunShard>(todo).shard));
        communicator.barrier();
        may_absorb = true;
        may_absorb.notify_all();
        if (communicator.rank() == 0) {
            EXPECT_THROW(queue->drain(), std::runtime_error);
        } else {
            EXPECT_TRUE(queue->drain());
        }
    });
}

TEST(ServiceQueue, AReportThatCannotBeAbsorbedEarlierFailsInNext)
{
    const Plan plan = plan_of(1'000'000);
    const auto communicator = make_local_communicator();
    QueueOptions options;
    options.absorb = [](const ShardReport&) { throw std::runtime_error("disk full"); };
    const auto queue = make_service_queue(plan, everything(plan), *communicator, options);

    EXPECT_THROW(
        {
            while (true) queue->completed(report_of(std::get<RunShard>(queue->next()).shard));
        },
        std::runtime_error);
}

TEST(ServiceQueue, LeavesWithoutFinishWhenTheMainThreadThrows)
{
    const Plan plan = plan_of(100);

    const auto job = [&](Communicator& communicator) {
        const auto queue = make_service_queue(plan, everything(plan), communicator, {});
        queue->next();
        communicator.barrier();
        throw std::runtime_error("out of memory");
    };

    EXPECT_THROW(test::run_as_ranks(2, job), std::runtime_error);
}

TEST(ServiceQueue, ALetterThatCannotBeReadReachesTheMainThreadAsAnError)
{
    const Plan plan = plan_of(3);
    std::string text;

    test::run_as_ranks(2, [&](Communicator& communicator) {
        if (communicator.rank() == 0) {
            const auto mailbox = communicator.open_mailbox();
            mailbox->send(1, std::vector<std::byte>(5));
            communicator.barrier();
            return;
        }
        const auto queue = make_service_queue(plan, {}, communicator, {});
        try {
            queue->next();
        } catch (const Error& error) {
            text = error.what();
        }
        communicator.barrier();
    });

    EXPECT_NE(text.find("cannot be read"), std::string::npos) << text;
}

TEST(ServiceQueue, AStopSeenByOneRankInterruptsAllWithinTenSeconds)
{
    const Plan plan = plan_of(1'000'000);
    const OpenWork work = everything(plan);
    std::atomic<bool> stop = false;

    test::run_as_ranks(3, [&](Communicator& communicator) {
        QueueOptions options;
        if (communicator.rank() == 2) options.stop = &stop;
        const auto queue = make_service_queue(plan, work, communicator, options);
        queue->completed(report_of(std::get<RunShard>(queue->next()).shard));
        communicator.barrier();
        const auto start = std::chrono::steady_clock::now();
        if (communicator.rank() == 2) stop = true;
        Instruction todo = queue->next();
        while (!std::holds_alternative<Finish>(todo)) {
            queue->completed(report_of(std::get<RunShard>(todo).shard));
            std::this_thread::sleep_for(1ms);
            todo = queue->next();
        }
        EXPECT_TRUE(std::get<Finish>(todo).interrupted);
        EXPECT_FALSE(queue->drain());
        EXPECT_LT(std::chrono::steady_clock::now() - start, 10s);
    });
}

TEST(ServiceQueue, AStopSeenByOneRankReachesTheOthersInTheMiddleOfAShard)
{
    const Plan plan = plan_of(1'000'000);
    const OpenWork work = everything(plan);
    std::array<std::atomic<bool>, 3> stops{};

    test::run_as_ranks(3, [&](Communicator& communicator) {
        std::atomic<bool>& stop = stops.at(static_cast<std::size_t>(communicator.rank()));
        QueueOptions options;
        options.stop = &stop;
        const auto queue = make_service_queue(plan, work, communicator, options);
        queue->next();
        communicator.barrier();
        if (communicator.rank() == 2) stop = true;
        const auto deadline = std::chrono::steady_clock::now() + 10s;
        while (!stop && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
        EXPECT_TRUE(stop);
        while (!std::holds_alternative<Finish>(queue->next())) continue;
        EXPECT_FALSE(queue->drain());
    });
}

TEST(ShardQueue, OneProcessNeedsNoThreads)
{
    const Plan plan = plan_of(1);
    const auto communicator = make_local_communicator();

    const auto queue = make_shard_queue(plan, everything(plan), *communicator, {});

    EXPECT_TRUE(std::holds_alternative<RunShard>(queue->next()));
    EXPECT_FALSE(queue->try_next().has_value());
}

TEST(ServiceQueue, WorksWithTheLocalCommunicatorToo)
{
    const Plan plan = plan_of(5);
    const auto communicator = make_local_communicator();
    const auto queue = make_service_queue(plan, everything(plan), *communicator, {});

    int shards = 0;
    for (Instruction todo = queue->next(); !std::holds_alternative<Finish>(todo);
         todo = queue->next(), ++shards)
        queue->completed(report_of(std::get<RunShard>(todo).shard));

    EXPECT_EQ(shards, 5);
    EXPECT_TRUE(queue->drain());
}

}  // namespace
}  // namespace twinscreen
