#include <algorithm>
#include <csignal>
#include <fstream>
#include <numeric>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/base/child_process.hpp"
#include "engine/base/digest.hpp"
#include "engine/store/hdf5_handle.hpp"
#include "engine/store/ledger.hpp"
#include "engine/store/raw_file.hpp"
#include "engine/store/sink.hpp"
#include "engine/store/stage_layout.hpp"
#include "tests/support/store_fixture.hpp"
#include "tests/support/support.hpp"

namespace twinscreen {
namespace {

using test::error_text;
using test::StoreFixture;
using test::TemporaryFolder;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class StoreSink : public ::testing::Test {
protected:
    std::string name() const { return fixture.file.string(); }
    void flip_bit(std::uint64_t offset, unsigned char mask = 4) const
    {
        const RawFile raw(fixture.file, RawFile::Access::read_write);
        std::array<std::byte, 1> byte{};
        raw.read(offset, byte);
        byte[0] ^= std::byte{mask};
        raw.write(offset, byte);
    }

    TemporaryFolder folder;
    StoreFixture fixture{folder / "responses.h5"};
    std::unique_ptr<Communicator> communicator = make_local_communicator();
};

TEST_F(StoreSink, ANewStageHasEveryShardOpen)
{
    const auto sink = fixture.open(*communicator);

    EXPECT_FALSE(sink->state().existed);
    EXPECT_FALSE(sink->state().complete);
    EXPECT_THAT(sink->state().open,
                ElementsAre(ShardId{0}, ShardId{1}, ShardId{2}, ShardId{3}, ShardId{4}));
    EXPECT_FALSE(std::filesystem::exists(folder / ".responses.h5.creating"));
}

TEST_F(StoreSink, TwoNewFilesOfTheSameStageAreEqualByteForByte)
{
    StoreFixture other(folder / "other.h5");
    fixture.open(*communicator)->close();
    other.open(*communicator)->close();

    EXPECT_EQ(test::read_text(fixture.file), test::read_text(other.file));
}

TEST_F(StoreSink, WhatIsWrittenIsReadBackAfterReopening)
{
    fixture.finish(*fixture.open(*communicator));
    const auto sink = fixture.open(*communicator);

    EXPECT_TRUE(sink->state().existed);
    EXPECT_TRUE(sink->state().complete);
    EXPECT_EQ(sink->state().sealed_items, 23U);
    EXPECT_THAT(sink->state().open, IsEmpty());
    EXPECT_THAT(sink->state().suspect, IsEmpty());
    for (std::uint64_t id = 0; id < fixture.plan.shards(); ++id) {
        EXPECT_TRUE(fixture.holds(*sink, fixture.plan.shard(ShardId{id})));
        EXPECT_TRUE(sink->verify(fixture.plan.shard(ShardId{id})));
    }
    sink->close();
}

TEST_F(StoreSink, TakesFiveThousandColumns)
{
    constexpr std::size_t columns = 5'000;
    fixture.columns.clear();
    for (std::size_t i = 0; i < columns; ++i)
        fixture.columns.push_back(
            {fmt::format("area_{}", i), Domain::item, ElementType::f32, {}, "", "one number"});
    const auto value = [](ItemId item, std::size_t column) {
        return static_cast<float>(index_of(item)) + 0.25F * static_cast<float>(column);
    };
    auto sink = fixture.open(*communicator);
    for (std::uint64_t id = 0; id < fixture.plan.shards(); ++id) {
        const Shard shard = fixture.plan.shard(ShardId{id});
        for (std::size_t column = 0; column < columns; ++column) {
            OwnedBatch rows(ElementType::f32, {static_cast<std::int64_t>(shard.items.count)});
            for (std::uint64_t i = 0; i < shard.items.count; ++i)
                rows.values<float>()[i] = value(shard.items.first + i, column);
            sink->write(shard, ColumnId{static_cast<std::uint32_t>(column)}, std::move(rows));
        }
        sink->seal(shard, 0, 0.25F, {});
    }
    sink->checkpoint(1);
    sink->write_summary({});
    sink->close();

    sink = fixture.open(*communicator);

    EXPECT_TRUE(sink->state().complete);
    for (std::uint64_t id = 0; id < fixture.plan.shards(); ++id)
        EXPECT_TRUE(sink->verify(fixture.plan.shard(ShardId{id})));
    for (const std::size_t column : {std::size_t{0}, columns / 2, columns - 1}) {
        const OwnedBatch rows = sink->read(ColumnId{static_cast<std::uint32_t>(column)}, 7, 1);
        EXPECT_EQ(rows.values<float>()[0], value(ItemId{7}, column));
    }
    sink->close();
}

TEST_F(StoreSink, ColumnsAsMemoryAreAlignedWhereverTheyLie)
{
    fixture.columns.clear();
    // HDF5 places small columns one after the other.
    for (std::size_t i = 0; i < 8; ++i)
        fixture.columns.push_back({fmt::format("byte_{}", i),
                                   Domain::item,
                                   i % 2 == 0 ? ElementType::u8 : ElementType::f64,
                                   {},
                                   "",
                                   ""});
    auto sink = fixture.open(*communicator);
    for (std::uint64_t id = 0; id < fixture.plan.shards(); ++id) {
        const Shard shard = fixture.plan.shard(ShardId{id});
        for (std::uint32_t column = 0; column < 8; ++column) {
            OwnedBatch rows(fixture.columns[column].type,
                            {static_cast<std::int64_t>(shard.items.count)});
            if (column % 2 == 0)
                std::ranges::fill(rows.values<std::uint8_t>(), std::uint8_t{1});
            else
                std::ranges::fill(rows.values<double>(), static_cast<double>(id));
            sink->write(shard, ColumnId{column}, std::move(rows));
        }
        sink->seal(shard, 0, 0.25F, {});
    }
    sink->checkpoint(1);
    sink->write_summary({});

    for (const std::uint32_t column : {1U, 3U, 5U, 7U}) {
        const ConstBatch mapped = sink->map(ColumnId{column});
        EXPECT_EQ(reinterpret_cast<std::uintptr_t>(mapped.data) % alignof(double), 0U);
        EXPECT_EQ(static_cast<const double*>(mapped.data)[22], 4.0);
    }
    sink->close();
}

TEST_F(StoreSink, TellsTheChecksumOfTheColumnsWhenAShardIsSealed)
{
    const auto sink = fixture.open(*communicator);
    const Shard shard = fixture.plan.shard(ShardId{2});
    Sealed told;

    fixture.run(*sink, shard.id, 0, [&](const Sealed& sealed) { told = sealed; });
    sink->close();

    const auto checksum = [](const OwnedBatch& rows) {
        return checksum_of({static_cast<const std::byte*>(rows.view().data), rows.bytes()});
    };
    const std::vector<std::uint64_t> columns{checksum(fixture.response_rows(shard)),
                                             checksum(fixture.moment_rows(shard)),
                                             checksum(fixture.half_rows(shard))};
    EXPECT_EQ(told.shard, ShardId{2});
    EXPECT_EQ(told.checksum, combined_checksum(columns));
}

TEST_F(StoreSink, ResumesWithTheShardsThatAreNotSealed)
{
    auto sink = fixture.open(*communicator);
    fixture.run(*sink, ShardId{3});
    fixture.run(*sink, ShardId{0});
    fixture.write(*sink, fixture.plan.shard(ShardId{1}));
    sink->abandon(fixture.plan.shard(ShardId{1}));
    sink->close();

    sink = fixture.open(*communicator);

    EXPECT_THAT(sink->state().open, ElementsAre(ShardId{1}, ShardId{2}, ShardId{4}));
    EXPECT_THAT(sink->state().suspect, IsEmpty());
    EXPECT_EQ(sink->state().sealed_items, 10U);
    EXPECT_EQ(sink->state().epoch, 1U);
    fixture.finish(*sink);
    EXPECT_TRUE(fixture.open(*communicator)->state().complete);
}

TEST_F(StoreSink, MarksTheRowsOfSealedShardsOnly)
{
    const auto sink = fixture.open(*communicator);
    fixture.run(*sink, ShardId{1});
    fixture.write(*sink, fixture.plan.shard(ShardId{2}));
    sink->close();

    const StageLayout layout = *read_stage_layout(fixture.file);
    std::vector<std::byte> marks(23);
    RawFile(fixture.file, RawFile::Access::read).read(layout.sealed_offset, marks);
    for (std::size_t item = 0; item < marks.size(); ++item)
        EXPECT_EQ(marks[item] == std::byte{1}, item >= 5 && item < 10) << "item " << item;
}

TEST_F(StoreSink, SealedAfterTheLastCheckpointIsSuspectUntilLookedAt)
{
    {
        const auto sink = fixture.open(*communicator);
        fixture.run(*sink, ShardId{0});
        sink->checkpoint(1);
        fixture.run(*sink, ShardId{1});
        fixture.run(*sink, ShardId{2});
        sink->read(ColumnId{0}, 0, 0);
        EXPECT_TRUE(sink->verify(fixture.plan.shard(ShardId{2})));  // waits for the writer
    }                                                               // not closed: as after a kill

    auto sink = fixture.open(*communicator);
    EXPECT_THAT(sink->state().suspect, ElementsAre(ShardId{1}, ShardId{2}));
    EXPECT_EQ(sink->state().epoch, 1U);
    EXPECT_TRUE(sink->verify(fixture.plan.shard(ShardId{1})));
    sink->close();

    // One suspect was not looked at, so closing must not have declared it safe.
    sink = fixture.open(*communicator);
    EXPECT_THAT(sink->state().suspect, ElementsAre(ShardId{1}, ShardId{2}));
    EXPECT_TRUE(sink->verify(fixture.plan.shard(ShardId{1})));
    EXPECT_TRUE(sink->verify(fixture.plan.shard(ShardId{2})));
    sink->close();

    EXPECT_THAT(fixture.open(*communicator)->state().suspect, IsEmpty());
}

TEST_F(StoreSink, ATornSuspectIsReopened)
{
    {
        const auto sink = fixture.open(*communicator);
        fixture.run(*sink, ShardId{1});
        EXPECT_TRUE(sink->verify(fixture.plan.shard(ShardId{1})));
    }
    const StageLayout layout = *read_stage_layout(fixture.file);
    flip_bit(layout.columns[0].offset + 5 * layout.columns[0].row_bytes + 3);

    auto sink = fixture.open(*communicator);
    EXPECT_FALSE(sink->verify(fixture.plan.shard(ShardId{1})));
    sink->close();

    sink = fixture.open(*communicator);
    EXPECT_THAT(sink->state().open, SizeIs(5));
    EXPECT_THAT(sink->state().suspect, IsEmpty());
    fixture.finish(*sink);
    sink = fixture.open(*communicator);
    EXPECT_TRUE(fixture.holds(*sink, fixture.plan.shard(ShardId{1})));
}

/// Runs shards in a child process that kills itself when the given number is sealed.
void kill_after(const StoreFixture& fixture, std::uint64_t seals)
{
    const pid_t child = fork();
    if (child == 0) {
        const auto communicator = make_local_communicator();
        const auto sink = fixture.open(*communicator);
        std::uint64_t sealed = 0;
        for (const ShardId id : std::vector<ShardId>(sink->state().open))
            fixture.run(*sink, id, 0, [&](const Sealed&) {
                if (++sealed == seals) kill(getpid(), SIGKILL);
            });
        sink->close();
        _exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    ASSERT_TRUE(WIFSIGNALED(status));
    ASSERT_EQ(WTERMSIG(status), SIGKILL);
}

TEST_F(StoreSink, AKilledProcessLosesOnlyTheShardsInFlight)
{
    std::uint64_t expected_open = fixture.plan.shards();
    for (const std::uint64_t seals : {2U, 1U, 1U}) {
        kill_after(fixture, seals);
        expected_open -= seals;

        const auto sink = fixture.open(*communicator);
        const StageState state = sink->state();

        EXPECT_THAT(state.open, SizeIs(expected_open));
        for (std::uint64_t id = 0; id < fixture.plan.shards(); ++id)
            if (!std::count(state.open.begin(), state.open.end(), ShardId{id})) {
                EXPECT_TRUE(fixture.holds(*sink, fixture.plan.shard(ShardId{id})));
            }
    }
    const auto sink = fixture.open(*communicator);
    for (const ShardId id : std::vector<ShardId>(sink->state().suspect))
        EXPECT_TRUE(sink->verify(fixture.plan.shard(id)));
    fixture.finish(*sink);
    EXPECT_TRUE(fixture.open(*communicator)->state().complete);
}

TEST_F(StoreSink, RefusesAnotherCampaignAndNamesEveryDifference)
{
    fixture.open(*communicator)->close();
    fixture.options.identity = {{"seed", "8"}, {"stimuli", "natural"}, {"twins", "v1:abc"}};
    fixture.options.numerics = "avx512; test 1.0";
    fixture.plan.shard_items = 6;
    fixture.columns[0].unit = "spikes/s";

    EXPECT_EQ(
        error_text([&] { fixture.open(*communicator); }),
        name() +
            " holds results of another campaign (5 parts differ)\n"
            "  seed: stored \"7\", wanted \"8\"\n"
            "  stimuli: not stored, wanted \"natural\"\n"
            "  shards: stored \"23 items of stage 'responses' in shards of 5\", "
            "wanted \"23 items of stage 'responses' in shards of 6\"\n"
            "  stored columns: stored ...\" unit; 16 bytes a row) [z], shard moments float64 "
            "(shard, moment, unit; 64 bytes\"..., wanted ...\" unit; 16 bytes a row) [spikes/s], "
            "shard moments float64 (shard, moment, unit; 6\"...\n"
            "  numerics: stored \"avx2; test 1.0\", wanted \"avx512; test 1.0\"\n"
            "  Choose another output folder (--out), or go back to the campaign that made it. "
            "Where only broken files of stimuli were replaced, --set run.changed_stimuli=accept "
            "goes on.");
}

TEST_F(StoreSink, ShowsWhichLinesOfTheCampaignChanged)
{
    fixture.options.provenance = {
        {"campaign_text", "seed = 7\nmargin = 0.04   # of the mean\n\n# a remark\n"},
        {"campaign_overrides", "run.limit=3\n"}};
    fixture.open(*communicator)->close();
    fixture.options.identity.front().second = "8";
    fixture.options.provenance = {
        {"campaign_text", "  seed = 7\nmargin = 0.5\n# another remark\nimages = 30\n"},
        {"campaign_overrides", ""}};

    EXPECT_THAT(error_text([&] { fixture.open(*communicator); }),
                HasSubstr("  the campaign had: margin = 0.04\n"
                          "  the campaign had: run.limit=3\n"
                          "  the campaign has: margin = 0.5\n"
                          "  the campaign has: images = 30\n"
                          "  Choose another output folder"));
}

TEST_F(StoreSink, APartThatIsToleratedMayDiffer)
{
    fixture.options.identity.emplace_back("stimuli", "as they were");
    fixture.open(*communicator)->close();
    fixture.options.identity.back().second = "one file replaced";

    EXPECT_THROW(fixture.open(*communicator), Error);
    fixture.options.tolerated = {"stimuli"};
    EXPECT_NO_THROW(fixture.open(*communicator)->close());
}

TEST_F(StoreSink, RefusesAStoreThatHasAPartMore)
{
    fixture.open(*communicator)->close();
    fixture.options.identity.pop_back();

    EXPECT_THAT(error_text([&] { fixture.open(*communicator); }),
                HasSubstr("(1 part differs)\n  twins: stored \"v1:abc\", not wanted\n"));
}

TEST_F(StoreSink, MixedNumericsAreRecordedWhereTheCampaignAllowsThem)
{
    fixture.open(*communicator)->close();
    fixture.options.numerics = "avx512; test 1.0";
    fixture.options.allow_mixed_numerics = true;

    fixture.open(*communicator)->close();

    const StageLayout layout = *read_stage_layout(fixture.file);
    std::array<std::byte, 1> mark{};
    RawFile(fixture.file, RawFile::Access::read).read(layout.mixed_offset, mark);
    EXPECT_EQ(mark[0], std::byte{mixed_numerics_mark});
}

TEST_F(StoreSink, RefusesRowsOfAnotherShape)
{
    const auto sink = fixture.open(*communicator);
    const Shard last = fixture.plan.shard(ShardId{4});

    EXPECT_EQ(error_text([&] {
                  sink->write(last, ColumnId{0}, OwnedBatch(ElementType::f32, {5, 4}));
              }),
              "column 'response' of shard 4 takes float32 [3, 4], got float32 [5, 4]");
}

TEST_F(StoreSink, RefusesASealBeforeEveryColumnIsWritten)
{
    const auto sink = fixture.open(*communicator);
    const Shard shard = fixture.plan.shard(ShardId{0});
    sink->write(shard, ColumnId{0}, fixture.response_rows(shard));
    sink->seal(shard, 0, 0.0F, {});

    EXPECT_EQ(error_text([&] { sink->close(); }),
              "column 'moments' of shard 0 was not written before the seal");
}

TEST_F(StoreSink, RefusesAnAxisWithTwoExtents)
{
    fixture.columns[1].row[1].extent = 5;

    EXPECT_EQ(error_text([&] { fixture.open(*communicator); }),
              "axis 'unit' has extent 5 in /partials/moments, but 4 in /columns/response");
    EXPECT_FALSE(std::filesystem::exists(fixture.file));
    EXPECT_THAT(std::vector(std::filesystem::directory_iterator(folder.path()), {}), IsEmpty());
}

TEST_F(StoreSink, RefusesTwoColumnsWithOneName)
{
    fixture.columns[3].name = "response";

    EXPECT_EQ(error_text([&] { fixture.open(*communicator); }),
              "the stage has two columns named 'response'");
}

TEST_F(StoreSink, StoresTheFunctionOfItemsInsteadOfATable)
{
    fixture.tables.items_as_function = "gratings, seed 7";

    fixture.open(*communicator)->close();

    EXPECT_THAT(test::read_text(fixture.file), HasSubstr("gratings, seed 7"));
    EXPECT_THAT(test::read_text(fixture.file), ::testing::Not(HasSubstr("stimulus")));
}

TEST_F(StoreSink, SaysThatAFileIsNotHdf5)
{
    test::write_text(fixture.file, "these are my notes");

    EXPECT_EQ(error_text([&] { fixture.open(*communicator); }), name() + " is not an HDF5 file");
}

TEST_F(StoreSink, SaysThatAFileIsTruncated)
{
    fixture.open(*communicator)->close();
    std::filesystem::resize_file(fixture.file, std::filesystem::file_size(fixture.file) - 100);

    EXPECT_THAT(error_text([&] { fixture.open(*communicator); }),
                ::testing::StartsWith(name() + " is truncated ("));
}

TEST_F(StoreSink, SaysThatAFileHasAnotherFormatVersion)
{
    fixture.open(*communicator)->close();
    {
        const Hdf5Handle file(H5Fopen(name().c_str(), H5F_ACC_RDWR, hdf5_serial_access().id()),
                              H5Fclose);
        ASSERT_GE(H5Adelete(file.id(), "version"), 0);
        hdf5_write_number_attribute(file.id(), "version", 9);
    }

    EXPECT_EQ(error_text([&] { fixture.open(*communicator); }),
              name() +
                  " was written by format version 9, this build reads versions 1 to 2\n"
                  "  Move the file away to start this stage again.");
}

TEST_F(StoreSink, AFullDiskHasItsOwnSentenceAndLosesNothing)
{
    fixture = StoreFixture(fixture.file, 4000);
    fixture.open(*communicator)->close();
    const StageLayout layout = *read_stage_layout(fixture.file);
    const std::uint64_t limit = layout.columns[0].offset + 400 * layout.columns[0].row_bytes;

    const std::string said = run_in_child("test", std::chrono::seconds(20), [&] {
        std::signal(SIGXFSZ, SIG_IGN);
        const rlimit small{limit, limit};
        setrlimit(RLIMIT_FSIZE, &small);
        const auto sink = fixture.open(*communicator);
        return error_text([&] {
            for (const ShardId id : std::vector<ShardId>(sink->state().open))
                fixture.run(*sink, id);
            sink->close();
        });
    });

    EXPECT_THAT(said, ::testing::StartsWith("no room left for " + name() + " ("));
    EXPECT_THAT(said, HasSubstr("bytes wanted, the limit on the size of a file is reached)\n"
                                "  Make room and start the same command again"));
    EXPECT_THAT(fixture.open(*communicator)->state().open, ::testing::Not(IsEmpty()));
}

TEST_F(StoreSink, AQueueSmallerThanOneBufferStillMoves)
{
    fixture.options.queue_bytes = 1;

    fixture.finish(*fixture.open(*communicator));

    EXPECT_TRUE(fixture.open(*communicator)->state().complete);
}

TEST_F(StoreSink, AStageWithoutItemsNeedsOnlyItsSummary)
{
    StoreFixture empty(folder / "empty.h5", 0);

    empty.finish(*empty.open(*communicator));

    EXPECT_TRUE(empty.open(*communicator)->state().complete);
}

}  // namespace
}  // namespace twinscreen
