#include <fstream>
#include <map>
#include <numeric>
#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/store/hdf5_handle.hpp"
#include "engine/store/ledger.hpp"
#include "engine/store/raw_file.hpp"
#include "engine/store/stage_layout.hpp"
#include "engine/store/verify.hpp"
#include "tests/support/store_fixture.hpp"
#include "tests/support/support.hpp"

namespace twinscreen {
namespace {

using test::error_text;
using test::StoreFixture;
using test::TemporaryFolder;
using ::testing::AnyOf;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::StartsWith;

class StoreVerify : public ::testing::Test {
protected:
    void flip_bit(std::uint64_t offset, std::uint64_t bit = 0) const
    {
        const RawFile raw(fixture.file, RawFile::Access::read_write);
        std::array<std::byte, 1> byte{};
        raw.read(offset, byte);
        byte[0] ^= std::byte{1} << bit;
        raw.write(offset, byte);
    }
    /// The whole way, as `twinscreen verify` goes it: refused, or judged as damaged. On one of 300
    /// flipped bits the library loops for ever, so its time is short.
    bool damage_is_found() const
    {
        try {
            const auto layout = read_stage_layout(fixture.file, brief);
            return layout && is_damaged(verify_stage(fixture.file, *layout));
        } catch (const Error& error) {
            EXPECT_EQ(error.kind(), Error::Kind::store) << error.what();
            return true;
        }
    }
    /// A store with one sealed shard; returns the content hash of the finished one.
    std::string leave_half_finished()
    {
        fixture.finish(*fixture.open(*communicator));
        const std::string hash = verify_store(folder.path()).content_hash;
        std::filesystem::remove(fixture.file);
        const auto sink = fixture.open(*communicator);
        fixture.run(*sink, ShardId{2});
        sink->close();
        return hash;
    }
    StageVerdict only_stage() const { return verify_store(folder.path()).stages.at(0); }

    static constexpr std::chrono::milliseconds brief{500};
    TemporaryFolder folder;
    StoreFixture fixture{folder / "responses.h5"};
    std::unique_ptr<Communicator> communicator = make_local_communicator();
};

TEST_F(StoreVerify, FindsAnUndisturbedStoreCompleteAndSound)
{
    fixture.finish(*fixture.open(*communicator));

    const StoreVerdict verdict = verify_store(folder.path());

    ASSERT_THAT(verdict.stages, SizeIs(1));
    EXPECT_EQ(verdict.stages[0].stage, "responses");
    EXPECT_EQ(verdict.stages[0].file, fixture.file);
    EXPECT_EQ(verdict.stages[0].shards, 5U);
    EXPECT_EQ(verdict.stages[0].sealed, 5U);
    EXPECT_TRUE(verdict.stages[0].complete);
    EXPECT_THAT(verdict.stages[0].bad_shards, IsEmpty());
    EXPECT_FALSE(verdict.stages[0].bad_summary);
    EXPECT_THAT(verdict.content_hash, SizeIs(32));
}

TEST_F(StoreVerify, TheContentHashIgnoresOrderRanksRestartsAndEpochs)
{
    fixture.finish(*fixture.open(*communicator));
    TemporaryFolder elsewhere;
    StoreFixture other(elsewhere / "responses.h5");
    {
        const auto sink = other.open(*communicator);
        other.run(*sink, ShardId{4}, 3);
        other.run(*sink, ShardId{1}, 2);
        sink->checkpoint(7);
        sink->close();
    }
    other.finish(*other.open(*communicator));

    EXPECT_EQ(verify_store(folder.path()).content_hash,
              verify_store(elsewhere.path()).content_hash);
}

TEST_F(StoreVerify, TheContentHashDependsOnColumnSpecsAndOnEveryStage)
{
    fixture.finish(*fixture.open(*communicator));
    const std::string one_stage = verify_store(folder.path()).content_hash;
    StoreFixture second(folder / "second.h5");
    second.columns[0].unit = "spikes/s";
    second.finish(*second.open(*communicator));

    const StoreVerdict verdict = verify_store(folder.path());

    EXPECT_NE(verdict.stages.at(0).content_hash, verdict.stages.at(1).content_hash);
    EXPECT_NE(verdict.content_hash, one_stage);
}

TEST_F(StoreVerify, AnUnfinishedStoreHasNoContentHash)
{
    const auto sink = fixture.open(*communicator);
    fixture.run(*sink, ShardId{2});
    sink->close();

    const StoreVerdict verdict = verify_store(folder.path());

    EXPECT_EQ(verdict.stages.at(0).sealed, 1U);
    EXPECT_FALSE(verdict.stages.at(0).complete);
    EXPECT_THAT(verdict.stages.at(0).bad_shards, IsEmpty());
    EXPECT_EQ(verdict.content_hash, "");
}

TEST_F(StoreVerify, AFlippedBitAnywhereInTheResultsIsFound)
{
    fixture.finish(*fixture.open(*communicator));
    const StageLayout layout = *read_stage_layout(fixture.file);
    const std::string sound = only_stage().content_hash;
    for (const StoredColumn& column : layout.columns)
        for (std::uint64_t byte = 0; byte < column.rows * column.row_bytes; byte += 37) {
            flip_bit(column.offset + byte);

            const StageVerdict verdict = only_stage();
            const std::uint64_t row = byte / column.row_bytes;
            if (column.domain == Domain::stage) {
                EXPECT_TRUE(verdict.bad_summary);
                EXPECT_THAT(verdict.bad_shards, IsEmpty());
            } else {
                EXPECT_THAT(verdict.bad_shards,
                            ElementsAre(column.domain == Domain::item ? row / 5 : row))
                    << column.name << " byte " << byte;
            }
            EXPECT_NE(verdict.content_hash, sound);
            flip_bit(column.offset + byte);
        }
    EXPECT_EQ(only_stage().content_hash, sound);
}

/// What a byte of a stage file belongs to.
std::string part_at(const StageLayout& layout, std::uint64_t byte)
{
    const auto is_in = [&](std::uint64_t offset, std::uint64_t bytes) {
        return byte >= offset && byte < offset + bytes;
    };
    for (const StoredColumn& column : layout.columns)
        if (is_in(column.offset, column.rows * column.row_bytes)) return column.name;
    if (is_in(layout.ledger_offset, (layout.shards + 1) * ledger_record_bytes)) return "ledger";
    if (is_in(layout.sealed_offset, layout.items)) return "row marks";
    if (is_in(layout.epoch_offset, 8)) return "checkpoint";
    if (is_in(layout.mixed_offset, 1)) return "mixed numerics";
    if (is_in(layout.description_offset, 8)) return "checksum of the description";
    return "description";
}

TEST_F(StoreVerify, FindsEveryOneOfTenThousandFlippedBits)
{
    fixture.finish(*fixture.open(*communicator));
    const StageLayout layout = *read_stage_layout(fixture.file);
    const std::uint64_t file_bits = 8 * std::filesystem::file_size(fixture.file);
    std::vector<std::uint64_t> bits(8);
    std::iota(bits.begin(), bits.end(), 8 * layout.mixed_offset);
    constexpr std::uint64_t flips = 10'000;
    for (std::uint64_t flip = bits.size(); flip < flips; ++flip)
        bits.push_back(flip * file_bits / flips);
    std::map<std::string, int> injected;
    std::map<std::string, int> found;
    for (const std::uint64_t bit : bits) {
        // The note of HDF5 that a file is open, and its checksum: the next test.
        if (bit / 8 == 11 || (bit / 8 >= 44 && bit / 8 < 48)) continue;
        flip_bit(bit / 8, bit % 8);
        const std::string part = part_at(layout, bit / 8);
        ++injected[part];
        found[part] += is_damaged(verify_stage(fixture.file, layout)) ? 1 : 0;
        flip_bit(bit / 8, bit % 8);
    }

    EXPECT_EQ(found, injected);
    EXPECT_THAT(injected, SizeIs(10));
    for (const auto& [part, count] : injected) RecordProperty(part, count);
    EXPECT_FALSE(is_damaged(only_stage()));
}

TEST_F(StoreVerify, FindsAFlippedBitOnTheWholeWayThroughTheLibrary)
{
    fixture.finish(*fixture.open(*communicator));
    const std::uint64_t bytes = std::filesystem::file_size(fixture.file);
    std::vector<std::uint64_t> bits;
    for (const std::uint64_t byte : {11U, 44U, 45U, 46U, 47U})
        for (std::uint64_t bit = 0; bit < 8; ++bit) bits.push_back(8 * byte + bit);
    std::mt19937_64 random(20260612);
    while (bits.size() < 300) bits.push_back(random() % (8 * bytes));

    for (const std::uint64_t bit : bits) {
        flip_bit(bit / 8, bit % 8);
        EXPECT_TRUE(damage_is_found()) << "bit " << bit % 8 << " of byte " << bit / 8;
        flip_bit(bit / 8, bit % 8);
    }
    EXPECT_FALSE(is_damaged(only_stage()));
}

TEST_F(StoreVerify, SaysThatADescriptionHasChangedAndStillJudgesTheResults)
{
    fixture.finish(*fixture.open(*communicator));
    const std::string hash = verify_store(folder.path()).content_hash;
    const auto campaign = test::read_text(fixture.file).find("[screen]");
    ASSERT_NE(campaign, std::string::npos);
    flip_bit(campaign);

    const StoreVerdict verdict = verify_store(folder.path());

    EXPECT_TRUE(verdict.stages[0].bad_description);
    EXPECT_THAT(verdict.stages[0].bad_shards, IsEmpty());
    EXPECT_EQ(verdict.content_hash, hash);
    EXPECT_EQ(reopen_damaged(folder.path(), verdict), 0U);
    EXPECT_EQ(
        error_text([&] { fixture.open(*communicator); }),
        fixture.file.string() +
            " is damaged or was edited (its attributes, tables or structure are not what "
            "they were when it was created)\n  Move the file away to start this stage again.");
}

TEST_F(StoreVerify, ADamagedFormatDoesNotMakeAStoreSomebodyElsesFile)
{
    fixture.finish(*fixture.open(*communicator));
    StoreFixture second(folder / "second.h5");
    second.finish(*second.open(*communicator));
    const auto format = test::read_text(fixture.file).find(stage_format);
    ASSERT_NE(format, std::string::npos);
    flip_bit(format);

    EXPECT_THAT(error_text([&] { verify_store(folder.path()); }),
                StartsWith(fixture.file.string() +
                           " has the format 'uwinscreen stage', expected 'twinscreen stage'"));
}

TEST_F(StoreVerify, ADamagedCheckpointNumberMakesTheNextRunVerifyEveryShard)
{
    fixture.finish(*fixture.open(*communicator));
    const std::string hash = verify_store(folder.path()).content_hash;
    const StageLayout layout = *read_stage_layout(fixture.file);
    flip_bit(layout.epoch_offset + 1);
    EXPECT_TRUE(only_stage().bad_checkpoint);

    {
        const auto sink = fixture.open(*communicator);
        EXPECT_THAT(sink->state().suspect, SizeIs(5));
        for (const ShardId id : std::vector<ShardId>(sink->state().suspect))
            EXPECT_TRUE(sink->verify(fixture.plan.shard(id)));
        fixture.finish(*sink);
    }
    EXPECT_FALSE(is_damaged(only_stage()));
    EXPECT_EQ(verify_store(folder.path()).content_hash, hash);
    EXPECT_TRUE(fixture.open(*communicator)->state().complete);
}

TEST_F(StoreVerify, ADamagedMarkOfMixedNumericsIsTakenAsMixedWhenReopened)
{
    fixture.finish(*fixture.open(*communicator));
    const StageLayout layout = *read_stage_layout(fixture.file);
    flip_bit(layout.mixed_offset);
    const StoreVerdict damaged = verify_store(folder.path());
    ASSERT_TRUE(damaged.stages[0].bad_mixed_mark);

    reopen_damaged(folder.path(), damaged);
    fixture.finish(*fixture.open(*communicator));

    std::array<std::byte, 1> mark{};
    RawFile(fixture.file, RawFile::Access::read).read(layout.mixed_offset, mark);
    EXPECT_EQ(mark[0], std::byte{mixed_numerics_mark});
    EXPECT_FALSE(is_damaged(only_stage()));
}

/// As a build wrote it that knew no checksum of the description.
void make_format_version_1(const StoreFixture& fixture)
{
    const StageLayout layout = *read_stage_layout(fixture.file);
    const Hdf5Handle access = hdf5_serial_access();
    Hdf5Handle file(H5Fopen(fixture.file.c_str(), H5F_ACC_RDWR, access.id()), H5Fclose);
    ASSERT_GE(H5Adelete(file.id(), "version"), 0);
    hdf5_write_number_attribute(file.id(), "version", 1);
    ASSERT_GE(H5Ldelete(file.id(), "/ledger/description_checksum", H5P_DEFAULT), 0);
    file.close();
    const RawFile raw(fixture.file, RawFile::Access::read_write);
    const std::uint64_t plain_epoch = *stored_epoch(raw, layout);
    raw.write(layout.epoch_offset, std::as_bytes(std::span(&plain_epoch, 1)));
}

TEST_F(StoreVerify, StoresOfFormatVersion1AreVerifiedAndContinued)
{
    fixture.finish(*fixture.open(*communicator));
    const std::string hash = verify_store(folder.path()).content_hash;
    make_format_version_1(fixture);

    const StoreVerdict verdict = verify_store(folder.path());
    EXPECT_EQ(verdict.stages[0].format_version, 1);
    EXPECT_EQ(verdict.content_hash, hash);
    EXPECT_FALSE(is_damaged(verdict.stages[0]));

    const StageLayout layout = *read_stage_layout(fixture.file);
    flip_bit(layout.columns[0].offset);
    EXPECT_EQ(reopen_damaged(folder.path(), verify_store(folder.path())), 1U);
    fixture.finish(*fixture.open(*communicator));
    EXPECT_EQ(verify_store(folder.path()).content_hash, hash);
}

/// What becomes of a run that goes on with a damaged store.
struct Fate {
    int refused = 0;
    int finished = 0;
};

/// Puts 1 to 8 random bytes into the description of a half-finished store, again and again, and
/// goes on with it: refused and left alone, or finished with the right results. A crash ends the
/// test.
Fate go_on_with_damaged(const StoreFixture& fixture, Communicator& communicator,
                        const std::string& wanted_hash, int mutants,
                        std::chrono::milliseconds limit)
{
    const StageLayout layout = *read_stage_layout(fixture.file);
    const std::string half_finished = test::read_text(fixture.file);
    std::mt19937_64 random(20260613);
    Fate fate;
    for (int mutant = 0; mutant < mutants; ++mutant) {
        std::string damaged = half_finished;
        for (auto bytes = 1 + random() % 8; bytes > 0; --bytes) {
            std::uint64_t at = random() % damaged.size();
            while (part_at(layout, at) != "description") at = random() % damaged.size();
            damaged[at] = static_cast<char>(random());
        }
        if (damaged == half_finished) continue;
        test::write_text(fixture.file, damaged);
        try {
            read_stage_layout(fixture.file, limit);  // as `open` does, which is more patient
            fixture.finish(*fixture.open(communicator));
            ++fate.finished;
            EXPECT_EQ(verify_store(fixture.file.parent_path()).content_hash, wanted_hash);
        } catch (const Error& error) {
            EXPECT_EQ(error.kind(), Error::Kind::store) << error.what();
            EXPECT_EQ(test::read_text(fixture.file), damaged);
            ++fate.refused;
        }
    }
    test::write_text(fixture.file, half_finished);
    return fate;
}

TEST_F(StoreVerify, ADamagedDescriptionIsNeverContinued)
{
    const std::string hash = leave_half_finished();

    const Fate fate = go_on_with_damaged(fixture, *communicator, hash, 300, brief);
    EXPECT_GT(fate.refused, 290);
    EXPECT_EQ(fate.finished, 0);
}

TEST_F(StoreVerify, ADamagedStoreOfFormatVersion1IsRefusedOrFinishedButCrashesNobody)
{
    const std::string hash = leave_half_finished();
    make_format_version_1(fixture);

    const Fate fate = go_on_with_damaged(fixture, *communicator, hash, 100, brief);
    EXPECT_GT(fate.refused, 0);
    EXPECT_GT(fate.finished, 0);
}

TEST_F(StoreVerify, DamageInTheLedgerAndInTheMarksIsFound)
{
    fixture.finish(*fixture.open(*communicator));
    const StageLayout layout = *read_stage_layout(fixture.file);

    flip_bit(layout.ledger_offset + 3 * ledger_record_bytes + 16);
    EXPECT_THAT(only_stage().bad_shards, ElementsAre(3U));
    EXPECT_FALSE(only_stage().complete);
    flip_bit(layout.ledger_offset + 3 * ledger_record_bytes + 16);

    flip_bit(layout.sealed_offset + 7);
    EXPECT_THAT(only_stage().bad_shards, ElementsAre(1U));
    flip_bit(layout.sealed_offset + 7);

    flip_bit(layout.ledger_offset + 5 * ledger_record_bytes);
    EXPECT_TRUE(only_stage().bad_summary);
}

TEST_F(StoreVerify, DamagedShardsAreComputedAgainAfterTheyWereReopened)
{
    fixture.finish(*fixture.open(*communicator));
    const std::string hash = verify_store(folder.path()).content_hash;
    const auto layout = read_stage_layout(fixture.file);
    flip_bit(layout->columns[0].offset + 7 * layout->columns[0].row_bytes);  // item 7: shard 1
    const StoreVerdict damaged = verify_store(folder.path());
    ASSERT_THAT(damaged.stages[0].bad_shards, ElementsAre(1));

    EXPECT_EQ(reopen_damaged(folder.path(), damaged), 1U);

    const auto sink = fixture.open(*communicator);
    EXPECT_THAT(sink->state().open, ElementsAre(ShardId{1}));
    EXPECT_FALSE(sink->state().complete);
    fixture.finish(*sink);
    EXPECT_EQ(verify_store(folder.path()).content_hash, hash);
}

TEST_F(StoreVerify, OtherFilesOfTheFolderAreLeftAlone)
{
    fixture.finish(*fixture.open(*communicator));
    test::write_text(folder / "notes.txt", "not a store");
    std::filesystem::create_directory(folder / "folder.h5");

    EXPECT_THAT(verify_store(folder.path()).stages, SizeIs(1));
}

TEST_F(StoreVerify, SaysWhatIsWrongWithAFolder)
{
    EXPECT_EQ(error_text([&] { verify_store(folder.path()); }),
              folder.path().string() +
                  " holds no results (no .h5 file in it was written by twinscreen run)");
    EXPECT_EQ(
        error_text([&] { verify_store(folder / "nowhere"); }),
        "cannot read the folder " + (folder / "nowhere").string() + " (No such file or directory)");
    test::write_text(folder / "notes.h5", "");
    EXPECT_EQ(error_text([&] { verify_store(folder.path()); }),
              (folder / "notes.h5").string() + " is empty (0 bytes)");
}

TEST_F(StoreVerify, TruncatedStoresAreRefusedAtEveryLength)
{
    fixture.finish(*fixture.open(*communicator));
    const std::string bytes = test::read_text(fixture.file);
    constexpr std::size_t lengths = 60;
    for (std::size_t i = 0; i < lengths; ++i) {
        const std::size_t kept = i * bytes.size() / lengths;
        test::write_text(fixture.file, bytes.substr(0, kept));

        EXPECT_THAT(error_text([&] { verify_store(folder.path()); }),
                    StartsWith(fixture.file.string()))
            << kept << " of " << bytes.size() << " bytes";
    }
}

TEST_F(StoreVerify, RandomDamageNeverCrashesOrHangs)
{
    fixture.finish(*fixture.open(*communicator));
    const std::string bytes = test::read_text(fixture.file);
    std::mt19937 random(20240611);
    std::size_t refused = 0;
    std::size_t judged = 0;
    for (int round = 0; round < 120; ++round) {
        std::string damaged = bytes;
        const std::size_t flips = 1 + random() % 40;
        for (std::size_t i = 0; i < flips; ++i)
            damaged[random() % (round % 2 == 0 ? 4096 : damaged.size())] =
                static_cast<char>(random());
        test::write_text(fixture.file, damaged);
        try {
            verify_store(folder.path());
            ++judged;
        } catch (const Error& error) {
            EXPECT_EQ(error.kind(), Error::Kind::store) << error.what();
            ++refused;
        }
    }
    EXPECT_GT(refused, 0U);
    EXPECT_GT(judged, 0U);
}

}  // namespace
}  // namespace twinscreen
