#include "engine/app/submit/job_script.hpp"

#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/app/submit/child_program.hpp"
#include "engine/app/submit/measured_shard.hpp"
#include "engine/base/error.hpp"
#include "tests/support/support.hpp"

namespace twinscreen {
namespace {

using test::TemporaryFolder;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(JobScript, ReadsTimesAsSlurmWritesThem)
{
    EXPECT_EQ(seconds_of_time("90"), 90 * 60);
    EXPECT_EQ(seconds_of_time("90:30"), 90 * 60 + 30);
    EXPECT_EQ(seconds_of_time("1:30:00"), 5400);
    EXPECT_EQ(seconds_of_time("2-12"), 60 * 3600);
    EXPECT_EQ(seconds_of_time("2-12:30"), 60 * 3600 + 1800);
    EXPECT_EQ(seconds_of_time("2-12:30:15"), 60 * 3600 + 1815);
    for (const char* wrong : {"", "0", "0:30", "soon", "-5", "1:2:3:4", "1.5", "99999999999"})
        EXPECT_THROW(seconds_of_time(wrong), Error) << wrong;
}

TEST(JobScript, WritesTimesAsSlurmReadsThem)
{
    EXPECT_EQ(slurm_time(5415), "01:30:15");
    EXPECT_EQ(slurm_time(60 * 3600 + 60), "2-12:01:00");
    for (const long seconds : {60L, 86399L, 86400L, 1'000'000L})
        EXPECT_EQ(seconds_of_time(slurm_time(seconds)), seconds);
}

BatchJob some_job()
{
    BatchJob job;
    job.name = "atlas";
    job.nodes = 3;
    job.ranks_per_node = 4;
    job.gpus_per_node = 4;
    job.cores_per_rank = 2;
    job.memory_gib_per_node = 7;
    job.seconds = 7200;
    job.partition = "gpu";
    job.further = {"--account=brains"};
    job.program = "/opt/twinscreen";
    job.campaign = "/home/o'hara/my campaign.toml";
    job.out = "/scratch/$USER";
    job.options = {"--set", "screen.measures=[\"units\"]"};
    return job;
}

TEST(JobScript, AsksForWhatTheJobNeeds)
{
    const std::string script = job_script(some_job());

    for (const char* line :
         {"--job-name=atlas", "--nodes=3", "--ntasks-per-node=4", "--cpus-per-task=2", "--mem=7G",
          "--time=02:00:00", "--signal=B:USR1@120", "--requeue", "--partition=gpu",
          "--gpus-per-node=4", "--account=brains"})
        EXPECT_THAT(script, HasSubstr(std::string("#SBATCH ") + line + "\n"));
    BatchJob plain = some_job();
    plain.gpus_per_node = 0;
    plain.partition.clear();
    EXPECT_THAT(job_script(plain), Not(HasSubstr("--gpus")));
    EXPECT_THAT(job_script(plain), Not(HasSubstr("--partition")));
}

TEST(JobScript, WarnsShortJobsWithinTheirTime)
{
    BatchJob job = some_job();
    job.seconds = 60;

    EXPECT_THAT(job_script(job), HasSubstr("--signal=B:USR1@20\n"));
}

TEST(JobScript, TheShellSeesEveryWordAsItIs)
{
    const TemporaryFolder folder;
    std::string script = job_script(some_job());
    // What comes before the attempt itself, and what the shell made of it.
    script.resize(script.find("# shellcheck shell=bash"));
    std::ofstream(folder / "head.sh")
        << script << "printf '%s\\n' \"$program\" \"$campaign\" \"$out\" \"${options[@]}\"\n";

    const ProgramOutput said = run_program({"bash", (folder / "head.sh").string()});

    EXPECT_EQ(said.exit_code, 0);
    EXPECT_EQ(said.text,
              "/opt/twinscreen\n/home/o'hara/my campaign.toml\n/scratch/$USER\n--set\n"
              "screen.measures=[\"units\"]\n");
}

TEST(JobScript, TheAttemptIsSoundShell)
{
    const TemporaryFolder folder;
    std::ofstream(folder / "job.sh") << job_script(some_job());

    const ProgramOutput checked = run_program({"bash", "-n", (folder / "job.sh").string()});

    EXPECT_EQ(checked.exit_code, 0) << checked.text;
}

TEST(ChildProgram, TellsHowAProgramEnded)
{
    EXPECT_EQ(run_program({"sh", "-c", "echo out; echo err >&2; exit 3"}).text, "out\nerr\n");
    EXPECT_EQ(run_program({"sh", "-c", "exit 3"}).exit_code, 3);
    EXPECT_EQ(run_program({"sh", "-c", "kill -9 $$"}).exit_code, 128 + 9);
    EXPECT_EQ(run_program({"no-program-has-this-name"}).exit_code, 127);
}

TEST(ChildProgram, CanBeStopped)
{
    const TemporaryFolder folder;
    ChildProgram program({"sleep", "60"}, folder / "log");

    EXPECT_FALSE(program.ended().has_value());
    program.stop();

    EXPECT_EQ(program.wait().exit_code, 128 + 15);
    EXPECT_GT(program.wait().memory_bytes, 0.0);
}

Plan plan_of_ten()
{
    Plan plan;
    plan.stage = "responses";
    plan.items = 100;
    plan.shard_items = 10;
    return plan;
}

TEST(MeasuredShards, AreThoseThatAStoreTellsOf)
{
    const TemporaryFolder folder;
    std::ofstream(folder / "telemetry.jsonl")
        << R"({"event":"started","stage":"responses"})"
        << "\n"
        << R"({"event":"sealed","stage":"responses","shard":0,"items":10,"compute_s":2.0,"wait_fill_s":0.5,"wait_write_s":0.5})"
        << "\n"
        << R"({"event":"sealed","stage":"responses","shard":4,"items":10,"compute_s":5.0})"
        << "\n"
        << R"({"event":"sealed","stage":"responses","shard":4,"items":10,"compute_s":9.0})"
        << "\n"
        << R"({"event":"sealed","stage":"another","shard":1,"items":10,"compute_s":99.0})"
        << "\n"
        << R"({"event":"sealed","stage":"respon)";

    const auto shards = shards_in_store(folder.path(), plan_of_ten());

    ASSERT_TRUE(shards.has_value());
    EXPECT_DOUBLE_EQ(shards->seconds_per_item, 0.4);
    EXPECT_EQ(shards->items_left, 80U);
    EXPECT_THAT(shards->source, HasSubstr("2 shards in "));
}

TEST(MeasuredShards, AStoreWithoutAnyTellsNothing)
{
    const TemporaryFolder folder;

    EXPECT_FALSE(shards_in_store(folder.path(), plan_of_ten()).has_value());
    std::ofstream(folder / "telemetry.jsonl") << "[1]\n\n{\"event\":7}\n";
    EXPECT_FALSE(shards_in_store(folder.path(), plan_of_ten()).has_value());
}

}  // namespace
}  // namespace twinscreen
