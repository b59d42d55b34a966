#include "engine/comm/heartbeat.hpp"

#include <stdexcept>
#include <thread>

#include <gtest/gtest.h>

#include "engine/comm/silence_watch.hpp"
#include "tests/support/thread_communicator.hpp"

namespace twinscreen {
namespace {

using namespace std::chrono_literals;
constexpr auto silence = 200ms;

/// Says nothing for long, where `others` have a heartbeat.
void be_silent(Communicator& communicator)
{
    const auto mailbox = communicator.open_mailbox();
    communicator.barrier();
    std::this_thread::sleep_for(60s);
}

TEST(Heartbeat, LetsAJobEndThatTakesMuchLongerThanTheTolerance)
{
    test::run_as_ranks(3, [&](Communicator& communicator) {
        const Heartbeat heartbeat(communicator, silence);
        std::this_thread::sleep_for(5 * silence);
    });
}

TEST(Heartbeat, LetsRanksLeaveLongBeforeOthers)
{
    test::run_as_ranks(3, [&](Communicator& communicator) {
        const Heartbeat heartbeat(communicator, silence);
        if (communicator.rank() != 1) std::this_thread::sleep_for(3 * silence);
    });
    test::run_as_ranks(3, [&](Communicator& communicator) {
        const Heartbeat heartbeat(communicator, silence);
        if (communicator.rank() != 0) std::this_thread::sleep_for(3 * silence);
    });
}

TEST(Heartbeat, DoesNotHoldUpAnError)
{
    const auto job = [](Communicator& communicator) {
        const Heartbeat heartbeat(communicator, 60s);
        throw std::runtime_error("out of memory");
    };

    EXPECT_THROW(test::run_as_ranks(2, job), std::runtime_error);
}

TEST(Heartbeat, DoesNothingInASingleProcess)
{
    const auto communicator = make_local_communicator();
    const Heartbeat heartbeat(*communicator, 1ms);
    std::this_thread::sleep_for(10ms);
}

TEST(SilenceWatch, TimeInWhichTheWatcherItselfWasSuspendedIsNobodysSilence)
{
    const SilenceWatch::Clock::time_point start{1'000'000s};
    SilenceWatch watch(1, 20s, start);
    EXPECT_EQ(watch.silent_peer(start + 1s), std::nullopt);

    for (auto t = 3600s; t <= 3619s; ++t) EXPECT_EQ(watch.silent_peer(start + t), std::nullopt);
    EXPECT_EQ(watch.silent_peer(start + 3622s), 0);
}

TEST(SilenceWatch, NamesThePeerThatWasNotHeardOf)
{
    const SilenceWatch::Clock::time_point start{1'000'000s};
    SilenceWatch watch(3, 20s, start);
    watch.forget(2);
    for (auto t = 1s; t <= 20s; ++t) {
        watch.heard(0, start + t);
        EXPECT_EQ(watch.silent_peer(start + t), std::nullopt) << t.count();
    }
    EXPECT_EQ(watch.silent_peer(start + 21s), 1);
}

TEST(HeartbeatDeathTest, ASilentRankEndsTheJobWithASentence)
{
    const auto job = [] {
        test::run_as_ranks(3, [](Communicator& communicator) {
            if (communicator.rank() == 2) be_silent(communicator);
            const Heartbeat heartbeat(communicator, silence);
            std::this_thread::sleep_for(60s);
        });
    };

    EXPECT_EXIT(job(), testing::ExitedWithCode(6),
                "rank 2 on .* has been silent for 0.2 s, says rank 0");
}

TEST(HeartbeatDeathTest, ASilentRank0EndsTheJobWithASentence)
{
    const auto job = [] {
        test::run_as_ranks(2, [](Communicator& communicator) {
            if (communicator.rank() == 0) be_silent(communicator);
            const Heartbeat heartbeat(communicator, silence);
            std::this_thread::sleep_for(60s);
        });
    };

    EXPECT_EXIT(job(), testing::ExitedWithCode(6),
                "rank 0 on .* has been silent for 0.2 s, says rank 1");
}

}  // namespace
}  // namespace twinscreen
