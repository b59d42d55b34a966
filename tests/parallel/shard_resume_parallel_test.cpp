#include <array>
#include <atomic>
#include <optional>

#include <gtest/gtest.h>

#include "engine/run/runner.hpp"
#include "engine/store/verify.hpp"
#include "tests/support/chain_experiment.hpp"
#include "tests/support/support.hpp"

namespace twinscreen {
namespace {

constexpr std::uint64_t shards = 8;
constexpr std::uint64_t steps = 1000;

/// Steps and exit code of one run on this rank, which is stopped before its `last`-th step.
struct Part {
    std::uint64_t steps = 0;
    int exit_code = 0;
};
Part run_part(Communicator& communicator, const std::filesystem::path& store, std::uint64_t last)
{
    std::atomic<bool> stop{false};
    test::ChainProbe probe;
    probe.before_step = [&](std::uint64_t, std::uint64_t) {
        if (probe.steps + 1 >= last) stop = true;
    };
    Campaign campaign = test::chain_campaign(shards, steps, probe);
    const int code = run_campaign(campaign, store, communicator, stop).exit_code;
    return {probe.steps, code};
}

std::uint64_t sum_over_ranks(Communicator& communicator, std::uint64_t mine)
{
    std::array<double, 1> sum{static_cast<double>(mine)};
    communicator.all_reduce(sum, Reduction::sum);
    return static_cast<std::uint64_t>(sum[0]);
}

TEST(LongShardsInParallel, StopsAndOtherNumbersOfRanksLoseNoStep)
{
    const auto all = make_mpi_communicator();
    const auto alone = make_local_communicator();
    const bool is_root = all->rank() == 0;
    std::optional<test::TemporaryFolder> folder;
    if (is_root) folder.emplace();
    const std::filesystem::path store =
        broadcast_text(*all, folder ? (*folder / "hurt").string() : "");
    constexpr std::uint64_t never = shards * steps + 1;

    const Part first = run_part(*all, store, 400);
    Part second;
    if (is_root) second = run_part(*alone, store, 1500);
    all->barrier();
    const Part third = run_part(*all, store, never);

    EXPECT_EQ(first.exit_code, exit_resumable);
    EXPECT_EQ(third.exit_code, 0);
    EXPECT_EQ(sum_over_ranks(*all, first.steps + second.steps + third.steps), shards * steps);
    if (!is_root) return;
    EXPECT_EQ(second.exit_code, exit_resumable);
    EXPECT_EQ(second.steps, 1500U);
    EXPECT_FALSE(std::filesystem::exists(store / "scratch"));
    EXPECT_EQ(run_part(*alone, *folder / "calm", never).steps, shards * steps);
    EXPECT_EQ(verify_store(store).content_hash, verify_store(*folder / "calm").content_hash);
}

}  // namespace
}  // namespace twinscreen
