#include <atomic>
#include <csignal>
#include <sys/wait.h>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/run/runner.hpp"
#include "engine/store/raw_file.hpp"
#include "engine/store/stage_layout.hpp"
#include "engine/store/verify.hpp"
#include "tests/support/chain_experiment.hpp"
#include "tests/support/log_capture.hpp"
#include "tests/support/support.hpp"

namespace twinscreen {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

constexpr std::uint64_t shards = 3;
constexpr std::uint64_t steps = 10;
const std::vector<std::string> often{"run.scratch_seconds=0.0"};
const std::vector<std::string> rarely{"run.scratch_seconds=86400.0"};

/// Chains of ten steps in a store of a temporary folder.
struct LongShards : ::testing::Test {
    using BeforeStep = std::function<void(std::uint64_t shard, std::uint64_t step)>;

    LongShards() { EXPECT_EQ(run(calm), 0); }

    /// Exit code of one run, undisturbed unless `before_step` does something.
    int run(const fs::path& store, std::vector<std::string> settings = often,
            BeforeStep before_step = {})
    {
        probe = {0, std::move(before_step)};
        stop = false;
        Campaign campaign = test::chain_campaign(shards, steps, probe, std::move(settings));
        const auto communicator = make_local_communicator();
        const int code = run_campaign(campaign, store, *communicator, stop).exit_code;
        return code;
    }
    /// One run that ends by SIGKILL, in a process of its own.
    void run_until_killed(const fs::path& store, const BeforeStep& before_step)
    {
        const pid_t child = fork();
        if (child == 0) {
            run(store, often, before_step);
            _exit(1);
        }
        int status = 0;
        ASSERT_EQ(waitpid(child, &status, 0), child);
        ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    }
    static BeforeStep kill_at(std::uint64_t shard, std::uint64_t step)
    {
        return [=](std::uint64_t at_shard, std::uint64_t at_step) {
            if (at_shard == shard && at_step == step) raise(SIGKILL);
        };
    }
    BeforeStep stop_at(std::uint64_t shard, std::uint64_t step)
    {
        return [=, this](std::uint64_t at_shard, std::uint64_t at_step) {
            if (at_shard == shard && at_step == step) stop = true;
        };
    }
    static fs::path state_of(const fs::path& store, std::uint64_t shard)
    {
        return store / "scratch" / "chains" / (std::to_string(shard) + ".state");
    }
    void expect_same_as_calm(const fs::path& store) const
    {
        const std::string hash = verify_store(store).content_hash;
        EXPECT_NE(hash, "");
        EXPECT_EQ(hash, verify_store(calm).content_hash);
        EXPECT_FALSE(fs::exists(store / "scratch"));
    }

    test::ChainProbe probe;
    std::atomic<bool> stop{false};
    test::TemporaryFolder folder;
    const fs::path calm = folder / "calm";
    const fs::path hurt = folder / "hurt";
};

TEST_F(LongShards, AStopInTheMiddleOfAShardLosesNoStep)
{
    EXPECT_EQ(run(hurt, rarely, stop_at(1, 4)), exit_resumable);
    EXPECT_EQ(probe.steps, steps + 5);
    EXPECT_TRUE(fs::exists(state_of(hurt, 1)));
    EXPECT_EQ(verify_store(hurt).stages.at(0).sealed, 1U);

    EXPECT_EQ(run(hurt, rarely), 0);

    EXPECT_EQ(probe.steps, steps - 5 + steps);
    expect_same_as_calm(hurt);
}

TEST_F(LongShards, AKillInTheMiddleOfAShardLosesWhatWasDoneSinceTheLastSave)
{
    run_until_killed(hurt, kill_at(1, 6));
    run_until_killed(hurt, kill_at(1, 8));

    EXPECT_EQ(run(hurt, {}), 0);

    EXPECT_EQ(probe.steps, 2 + steps);
    expect_same_as_calm(hurt);
}

TEST_F(LongShards, AShardThatNeverSavedBeginsAnew)
{
    run_until_killed(hurt, [&](std::uint64_t shard, std::uint64_t step) {
        if (shard != 1 || step != 6) return;
        fs::remove_all(hurt / "scratch");
        raise(SIGKILL);
    });

    EXPECT_EQ(run(hurt), 0);

    EXPECT_EQ(probe.steps, 2 * steps);
    expect_same_as_calm(hurt);
}

TEST_F(LongShards, ADamagedStateIsIgnoredAloud)
{
    EXPECT_EQ(run(hurt, often, stop_at(1, 4)), exit_resumable);
    fs::resize_file(state_of(hurt, 1), 70);
    test::LogCapture log;

    EXPECT_EQ(run(hurt), 0);

    EXPECT_THAT(log.take(), HasSubstr("this state of shard 1 is not used (it has 6 bytes"));
    EXPECT_EQ(probe.steps, 2 * steps);
    expect_same_as_calm(hurt);
}

TEST_F(LongShards, AStoreThatBeginsAnewTakesUpNothingFromTheOneBefore)
{
    EXPECT_EQ(run(hurt, often, stop_at(0, 4)), exit_resumable);
    fs::remove(hurt / "chains.h5");

    EXPECT_EQ(run(hurt), 0);

    EXPECT_EQ(probe.steps, shards * steps);
    expect_same_as_calm(hurt);
}

TEST_F(LongShards, ATornShardIsComputedFromItsBeginning)
{
    const auto kept = [&](std::uint64_t shard) { return folder / std::to_string(shard); };
    run_until_killed(hurt, [&](std::uint64_t shard, std::uint64_t step) {
        if (shard < 2 && step == 5) fs::copy_file(state_of(hurt, shard), kept(shard));
        if (shard < 2 || step < 5) return;
        // What is sealed has no state any more.
        while (fs::exists(state_of(hurt, 0)) || fs::exists(state_of(hurt, 1))) continue;
        raise(SIGKILL);
    });
    for (const std::uint64_t shard : {0U, 1U}) fs::copy_file(kept(shard), state_of(hurt, shard));
    const fs::path file = hurt / "chains.h5";
    const std::uint64_t first_row = read_stage_layout(file)->columns.at(0).offset;
    RawFile(file, RawFile::Access::read_write).write(first_row, std::vector<std::byte>(8));
    test::LogCapture log;

    EXPECT_EQ(run(hurt), 0);

    EXPECT_THAT(log.take(), HasSubstr("shard 0 does not match its checksum"));
    EXPECT_EQ(probe.steps, steps + 5);  // all of the torn shard, half of the last
    expect_same_as_calm(hurt);
}

TEST_F(LongShards, StatesThatCannotBeSavedChangeNothing)
{
    fs::create_directories(hurt);
    test::write_text(hurt / "scratch", "a file where the folder should be");
    test::LogCapture log;
    EXPECT_EQ(run(hurt, often, stop_at(1, 4)), exit_resumable);
    EXPECT_THAT(log.take(), HasSubstr("could not be saved"));

    EXPECT_EQ(run(hurt), 0);

    EXPECT_EQ(probe.steps, 2 * steps);
    EXPECT_EQ(test::read_text(hurt / "scratch"), "a file where the folder should be");
    fs::remove(hurt / "scratch");
    expect_same_as_calm(hurt);
}

TEST_F(LongShards, LitterOfShardsThatAreSealedIsGoneWhenTheStageIsComplete)
{
    fs::create_directories(state_of(calm, 0).parent_path());
    test::write_text(state_of(calm, 0), "of a rank that died late");

    EXPECT_EQ(run(calm), 0);

    EXPECT_EQ(probe.steps, 0U);
    expect_same_as_calm(calm);
}

TEST_F(LongShards, SecondsBetweenSavesAreBounded)
{
    EXPECT_THAT(test::error_text([&] { run(hurt, {"run.scratch_seconds=86401.0"}); }),
                HasSubstr("must be in 0..86400"));
}

}  // namespace
}  // namespace twinscreen
