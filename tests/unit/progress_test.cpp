#include "engine/run/progress.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace twinscreen {
namespace {

using namespace std::chrono_literals;

ShardReport report_of(int rank, std::uint32_t items, float compute_s, float wait_fill_s)
{
    ShardReport report;
    report.rank = rank;
    report.items = items;
    report.compute_s = compute_s;
    report.wait_fill_s = wait_fill_s;
    return report;
}

TEST(Progress, RateAndTimeLeftCountOnlyWhatThisRunComputed)
{
    const Progress::Clock::time_point start{};
    Progress progress(10, 4, 600, 2, start);
    progress.absorb(report_of(0, 100, 1.0F, 0.0F));
    progress.absorb(report_of(1, 100, 1.0F, 0.0F));

    const ProgressSnapshot now = progress.snapshot(start + 10s);

    EXPECT_EQ(now.shards_done, 6U);
    EXPECT_DOUBLE_EQ(now.items_per_second, 20.0);
    EXPECT_DOUBLE_EQ(now.seconds_left, 20.0);  // 400 of 600 items at 20 per second
}

TEST(Progress, NamesTheSlowestRankAndTheBalance)
{
    Progress progress(4, 0, 400, 2, {});
    progress.absorb(report_of(0, 100, 1.0F, 0.0F));
    progress.absorb(report_of(1, 100, 2.0F, 1.0F));

    const ProgressSnapshot now = progress.snapshot(Progress::Clock::time_point{} + 3s);

    EXPECT_EQ(now.slowest_rank, 1);
    EXPECT_DOUBLE_EQ(now.balance, 1.5);  // 3 s against a mean of 2 s
    EXPECT_DOUBLE_EQ(now.compute_share, 0.75);
    EXPECT_DOUBLE_EQ(now.wait_fill_share, 0.25);
}

TEST(Progress, AShardThatWasVerifiedOnResumeAddsNoComputedItems)
{
    Progress progress(2, 0, 200, 1, {});
    ShardReport verified = report_of(0, 100, 0.0F, 0.0F);
    verified.verified = 1;
    progress.absorb(verified);

    EXPECT_EQ(progress.snapshot(Progress::Clock::time_point{} + 1s).items_done, 0U);
    EXPECT_EQ(progress.snapshot(Progress::Clock::time_point{} + 1s).shards_done, 1U);
}

TEST(Progress, TextsAreWhatAPersonWouldWrite)
{
    EXPECT_EQ(duration_text(0.32), "0.3 s");
    EXPECT_EQ(duration_text(250.0), "4 min 10 s");
    EXPECT_EQ(duration_text(3720.0), "1 h 02 min");
    EXPECT_EQ(count_text(999), "999");
    EXPECT_EQ(count_text(1234567), "1,234,567");
    EXPECT_EQ(bytes_text(1536.0), "1.5 KiB");
}

}  // namespace
}  // namespace twinscreen
