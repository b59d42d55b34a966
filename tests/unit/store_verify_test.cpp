#include <fstream>
#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

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
    void flip_bit(std::uint64_t offset) const
    {
        const RawFile raw(fixture.file, RawFile::Access::read_write);
        std::array<std::byte, 1> byte{};
        raw.read(offset, byte);
        byte[0] ^= std::byte{1};
        raw.write(offset, byte);
    }
    StageVerdict only_stage() const { return verify_store(folder.path()).stages.at(0); }

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
