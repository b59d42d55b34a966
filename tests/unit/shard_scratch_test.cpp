#include "engine/run/shard_scratch.hpp"

#include <fstream>
#include <sys/stat.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/run/input_reader.hpp"
#include "tests/support/log_capture.hpp"
#include "tests/support/support.hpp"

namespace twinscreen {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr std::size_t header_bytes = 64;

std::vector<std::byte> bytes_of_text(const std::string& text)
{
    const auto bytes = std::as_bytes(std::span(text));
    return {bytes.begin(), bytes.end()};
}

/// The scratch of one stage in a folder of its own, saving at every call, on a clock of its own.
struct Scratch : ::testing::Test {
    Scratch()
    {
        stage.folder = folder / "scratch" / "search";
        stage.owner = "campaign";
        stage.seconds = 0.0;
        stage.stop = &stop;
        stage.now = [this] { return now; };
    }
    ShardScratch shard(std::uint64_t number) { return {stage, ShardId{number}}; }
    void save(std::uint64_t number, const std::string& text)
    {
        shard(number).save_if_due([&] { return bytes_of_text(text); });
    }
    fs::path file(std::uint64_t number) const { return stage.file_of(ShardId{number}); }

    test::TemporaryFolder folder;
    std::atomic<bool> stop{false};
    StageScratch::Clock::time_point now{};
    StageScratch stage;
};

TEST_F(Scratch, GivesBackWhatWasSavedLast)
{
    save(3, "first");
    save(3, "second");
    save(4, "another");

    EXPECT_EQ(shard(3).load(), bytes_of_text("second"));
    EXPECT_EQ(shard(4).load(), bytes_of_text("another"));
    EXPECT_EQ(fs::file_size(file(3)), header_bytes + 6);
}

TEST_F(Scratch, IsEmptyAndLeavesNothingWhereNothingWasSaved)
{
    ShardScratch fresh = shard(0);

    EXPECT_THAT(fresh.load(), IsEmpty());
    EXPECT_EQ(fresh.leftover(), "");
    EXPECT_FALSE(fs::exists(folder / "scratch"));
}

TEST_F(Scratch, NamesTheFileToRemoveWhetherItWasSavedOrFound)
{
    ShardScratch saving = shard(1);
    saving.save_if_due([] { return bytes_of_text("state"); });
    ShardScratch finding = shard(1);
    finding.load();

    EXPECT_EQ(saving.leftover(), file(1));
    EXPECT_EQ(finding.leftover(), file(1));
}

TEST_F(Scratch, SavesWhenTheTimeHasComeAndNotBefore)
{
    stage.seconds = 30.0;
    ShardScratch scratch = shard(0);
    std::vector<int> saved_at;
    for (int second = 0; second <= 100; second += 7) {
        now = StageScratch::Clock::time_point(std::chrono::seconds(second));
        scratch.save_if_due([&] {
            saved_at.push_back(second);
            return bytes_of_text("state");
        });
    }

    EXPECT_THAT(saved_at, ::testing::ElementsAre(35, 70));
}

TEST_F(Scratch, SavesOnceMoreBeforeAStopAndThenStops)
{
    stage.seconds = 86'400.0;
    ShardScratch scratch = shard(0);
    scratch.save_if_due([] { return bytes_of_text("too early"); });
    EXPECT_FALSE(fs::exists(file(0)));
    stop = true;

    EXPECT_THROW(scratch.save_if_due([] { return bytes_of_text("last"); }), StopRequested);

    EXPECT_EQ(shard(0).load(), bytes_of_text("last"));
}

TEST_F(Scratch, IgnoresAFileOfWhichAnyByteIsWrong)
{
    save(0, "state");
    const std::string good = test::read_text(file(0));
    test::LogCapture log;
    for (std::size_t at = 0; at < good.size(); ++at) {
        std::string bad = good;
        bad[at] = static_cast<char>(bad[at] ^ 0x10);
        test::write_text(file(0), bad);

        EXPECT_THAT(shard(0).load(), IsEmpty()) << "byte " << at;
        EXPECT_THAT(log.take(), HasSubstr("this state of shard 0 is not used")) << "byte " << at;
    }
}

TEST_F(Scratch, IgnoresAFileOfAnyOtherLength)
{
    save(0, "state");
    const std::string good = test::read_text(file(0));
    test::LogCapture log;
    for (std::size_t length = 0; length < good.size(); ++length) {
        test::write_text(file(0), good.substr(0, length));
        EXPECT_THAT(shard(0).load(), IsEmpty()) << length << " bytes";
    }
    test::write_text(file(0), good + "x");

    EXPECT_THAT(shard(0).load(), IsEmpty());
    EXPECT_THAT(log.take(), HasSubstr("it has 6 bytes instead of 5"));
}

TEST_F(Scratch, IgnoresAStateOfAnotherShardOrCampaign)
{
    save(0, "state");
    fs::copy_file(file(0), file(1));
    test::LogCapture log;

    EXPECT_THAT(shard(1).load(), IsEmpty());
    EXPECT_THAT(log.take(), HasSubstr("or for another shard"));
    stage.owner = "another campaign";
    EXPECT_THAT(shard(0).load(), IsEmpty());
    EXPECT_THAT(log.take(), HasSubstr("it was saved by another campaign"));
}

TEST_F(Scratch, ReservesNoMemoryForWhatAHeaderClaims)
{
    save(0, "state");
    const std::string good = test::read_text(file(0));
    const std::uint64_t claimed = std::uint64_t{1} << 50U;
    std::string huge = good;
    huge.replace(48, sizeof(claimed), reinterpret_cast<const char*>(&claimed), sizeof(claimed));
    test::LogCapture log;

    test::write_text(file(0), huge);
    EXPECT_THAT(shard(0).load(), IsEmpty());
    EXPECT_THAT(log.take(), HasSubstr("it has 5 bytes instead of 1125899906842624"));

    const std::uint64_t holes = std::uint64_t{1} << 40U;
    huge.replace(48, sizeof(holes), reinterpret_cast<const char*>(&holes), sizeof(holes));
    test::write_text(file(0), huge);
    fs::resize_file(file(0), holes + header_bytes);
    EXPECT_THAT(shard(0).load(), IsEmpty());
    EXPECT_THAT(log.take(), HasSubstr("it has 1099511627840 bytes"));
}

TEST_F(Scratch, IgnoresWhatIsNoOrdinaryFile)
{
    fs::create_directories(file(0));
    ASSERT_EQ(mkfifo(file(1).c_str(), 0600), 0);
    fs::create_symlink("nowhere", file(2));
    test::LogCapture log;

    for (const std::uint64_t number : {0U, 1U, 2U}) {
        EXPECT_THAT(shard(number).load(), IsEmpty());
        EXPECT_THAT(log.take(), HasSubstr("is not used")) << number;
    }
}

TEST_F(Scratch, WarnsOnceAndGoesOnWhereNothingCanBeSaved)
{
    test::write_text(folder / "scratch", "a file where the folder should be");
    test::LogCapture log;

    save(0, "state");
    EXPECT_THAT(log.take(), HasSubstr("the state of shard 0 could not be saved"));
    save(0, "state");
    save(1, "state");
    EXPECT_EQ(log.take(), "");
    fs::remove(folder / "scratch");
    save(1, "state");
    EXPECT_EQ(shard(1).load(), bytes_of_text("state"));
}

TEST_F(Scratch, KeepsTheLastStateWhereALaterOneCannotBeSaved)
{
    save(0, "good");
    fs::create_directories(file(0).string() + ".partial/in the way");
    test::LogCapture log;

    save(0, "lost");

    EXPECT_THAT(log.take(), HasSubstr("could not be saved"));
    EXPECT_EQ(shard(0).load(), bytes_of_text("good"));
}

TEST_F(Scratch, WritesThroughNoLink)
{
    test::write_text(folder / "precious", "mine");
    fs::create_directories(stage.folder);
    fs::create_symlink(folder / "precious", file(0));
    fs::create_symlink(folder / "precious", file(0).string() + ".partial");

    save(0, "state");

    EXPECT_EQ(test::read_text(folder / "precious"), "mine");
    EXPECT_EQ(shard(0).load(), bytes_of_text("state"));
}

TEST_F(Scratch, IsRemovedWithItsFolders)
{
    save(0, "state");
    save(117, "state");
    test::write_text(file(3).string() + ".partial", "of a save that a kill cut short");

    remove_scratch(stage.folder);

    EXPECT_FALSE(fs::exists(folder / "scratch"));
    EXPECT_NO_THROW(remove_scratch(stage.folder));
}

TEST_F(Scratch, FilesOfOthersAreLeftAlone)
{
    save(0, "state");
    for (const char* name : {"notes.txt", "my.state", "1.state.copy", ".state"})
        test::write_text(stage.folder / name, "mine");
    const fs::path later = folder / "scratch" / "later_stage";
    fs::create_directories(later);

    remove_scratch(stage.folder);

    EXPECT_FALSE(fs::exists(file(0)));
    for (const char* name : {"notes.txt", "my.state", "1.state.copy", ".state"})
        EXPECT_EQ(test::read_text(stage.folder / name), "mine");
    EXPECT_TRUE(fs::exists(later));
}

}  // namespace
}  // namespace twinscreen
