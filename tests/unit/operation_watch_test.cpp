#include "engine/comm/operation_watch.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace twinscreen {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using Decision = OperationWatch::Decision;
using Progress = OperationState::Progress;
using Time = OperationWatch::Clock::time_point;

constexpr Time start{};

OperationWatch watch_of(std::chrono::milliseconds limit)
{
    return {"broadcasting 40 MiB from rank 0", limit, start};
}

TEST(OperationWatch, LooksAgainUntilTheOperationIsDone)
{
    OperationWatch watch = watch_of(10s);

    EXPECT_EQ(watch.decide({Progress::running, {}}, start + 1ms), Decision::look_again);
    EXPECT_EQ(watch.decide({Progress::running, {}}, start + 2ms), Decision::look_again);
    EXPECT_EQ(watch.decide({Progress::done, {}}, start + 3ms), Decision::finish);
}

TEST(OperationWatch, GivesUpOnAFailureWithWhatTheLibrarySays)
{
    OperationWatch watch = watch_of(10s);

    EXPECT_EQ(watch.decide({Progress::running, {}}, start + 1ms), Decision::look_again);
    EXPECT_EQ(watch.decide({Progress::failed, "remote process exited"}, start + 2ms),
              Decision::give_up);

    EXPECT_EQ(watch.error().exit_code(), 6);
    EXPECT_THAT(watch.error().what(),
                HasSubstr("NCCL failed while broadcasting 40 MiB from rank 0 (remote process "
                          "exited)"));
}

TEST(OperationWatch, GivesUpOnAnOperationThatStandsStill)
{
    OperationWatch watch = watch_of(10s);

    Time now = start;
    Decision decision = Decision::look_again;
    while (decision == Decision::look_again) {
        now += 10ms;
        decision = watch.decide({Progress::running, {}}, now);
    }

    EXPECT_EQ(decision, Decision::give_up);
    EXPECT_EQ(now - start, 10s + 10ms);
    EXPECT_THAT(watch.error().what(), HasSubstr("stood still for 10 s while broadcasting"));
}

TEST(OperationWatch, TakesWhatIsDoneLateAsDone)
{
    OperationWatch watch = watch_of(1ms);

    EXPECT_EQ(watch.decide({Progress::done, {}}, start + 1h), Decision::finish);
}

TEST(OperationWatch, DoesNotCountAPauseOfTheWholeJob)
{
    OperationWatch watch = watch_of(10s);

    EXPECT_EQ(watch.decide({Progress::running, {}}, start + 1h), Decision::look_again);
    EXPECT_EQ(watch.decide({Progress::done, {}}, start + 1h + 1ms), Decision::finish);
}

TEST(OperationWatch, SpinsAtFirstAndPausesForAFractionOfTheTimeLater)
{
    OperationWatch watch = watch_of(10s);

    EXPECT_EQ(watch.pause(), 0us);
    watch.decide({}, start + 500us);
    EXPECT_EQ(watch.pause(), 0us);
    watch.decide({}, start + 8ms);
    EXPECT_EQ(watch.pause(), 500us);
    watch.decide({}, start + 500ms);
    EXPECT_EQ(watch.pause(), 1ms);
}

TEST(OperationWatch, GivesLargeTransfersTheTimeOfASlowNetwork)
{
    EXPECT_EQ(time_limit(20s, 0), 20s);
    EXPECT_EQ(time_limit(20s, 100'000'000'000), 1020s);
}

}  // namespace
}  // namespace twinscreen
