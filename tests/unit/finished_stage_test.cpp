#include "engine/store/finished_stage.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/store/stored_table.hpp"
#include "engine/store/verify.hpp"
#include "tests/support/store_fixture.hpp"
#include "tests/support/support.hpp"

namespace twinscreen {
namespace {

using test::error_text;
using test::StoreFixture;
using test::TemporaryFolder;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class ReadingAFinishedStage : public ::testing::Test {
protected:
    void finish() const { fixture.finish(*fixture.open(*communicator)); }
    void flip_bit(std::uint64_t offset) const
    {
        const RawFile raw(fixture.file, RawFile::Access::read_write);
        std::array<std::byte, 1> byte{};
        raw.read(offset, byte);
        byte[0] ^= std::byte{1};
        raw.write(offset, byte);
    }
    static std::vector<float> responses(FinishedStage& stage, std::uint64_t first,
                                        std::uint64_t rows)
    {
        std::vector<float> values(rows * StoreFixture::units);
        stage.read(stage.item_column("response"), first, rows,
                   std::as_writable_bytes(std::span(values)));
        return values;
    }

    TemporaryFolder folder;
    StoreFixture fixture{folder / "responses.h5"};
    std::unique_ptr<Communicator> communicator = make_local_communicator();
};

TEST_F(ReadingAFinishedStage, GivesRowsAcrossShards)
{
    finish();
    FinishedStage stage(folder.path(), "responses");

    const std::vector<float> rows = responses(stage, 4, 12);

    for (std::uint64_t row = 0; row < 12; ++row)
        for (std::int64_t unit = 0; unit < StoreFixture::units; ++unit)
            EXPECT_EQ(rows[row * StoreFixture::units + static_cast<std::uint64_t>(unit)],
                      StoreFixture::response(4 + row, unit));
}

TEST_F(ReadingAFinishedStage, KnowsTheContentHashWithoutReadingTheShards)
{
    finish();

    const FinishedStage stage(fixture.file, "responses");

    EXPECT_EQ(stage.content_hash(), verify_store(folder.path()).stages.at(0).content_hash);
}

TEST_F(ReadingAFinishedStage, GivesTablesWithTextsNumbersAndIntegers)
{
    finish();

    const Table units = FinishedStage(folder.path(), "responses").table("units");

    ASSERT_EQ(units.columns.size(), 3U);
    EXPECT_EQ(units.columns[1].unit, "deg");
    EXPECT_EQ(units.text("id", 3), "d");
    EXPECT_EQ(units.number("x", 2), -2.0);
    EXPECT_THAT(std::get<std::vector<std::int64_t>>(units.find("channel")->values),
                ElementsAre(7, 8, 9, 10));
    const Table items = read_stored_table(fixture.file, "items");
    EXPECT_EQ(items.text("label", 1), "");
    EXPECT_EQ(items.text("label", 22), "stimulus \u00e9 22");
}

TEST_F(ReadingAFinishedStage, RefusesATableThatIsNotThere)
{
    finish();

    EXPECT_THAT(error_text([&] { read_stored_table(fixture.file, "areas"); }),
                HasSubstr("it has no table /areas"));
    EXPECT_THAT(error_text([&] { read_stored_table(fixture.file, "columns"); }),
                HasSubstr("column 'response' is not stored in one piece"));
}

TEST_F(ReadingAFinishedStage, RefusesAStageThatIsNotFinished)
{
    const auto sink = fixture.open(*communicator);
    fixture.run(*sink, ShardId{2});
    sink->close();

    EXPECT_THAT(error_text([&] { FinishedStage(folder.path(), "responses"); }),
                HasSubstr("is not finished: 5 of 6 shards and the summary are open"));
}

TEST_F(ReadingAFinishedStage, RefusesADamagedShardWhenItIsRead)
{
    finish();
    const StageLayout layout = *read_stage_layout(fixture.file);
    flip_bit(layout.columns.at(0).offset + 7 * layout.columns.at(0).row_bytes);
    FinishedStage stage(folder.path(), "responses");

    EXPECT_EQ(responses(stage, 0, 5).at(0), StoreFixture::response(0, 0));
    EXPECT_THAT(error_text([&] { responses(stage, 3, 4); }), HasSubstr("shard 1 is damaged"));
}

TEST_F(ReadingAFinishedStage, RefusesADamagedDescription)
{
    finish();
    const StageLayout layout = *read_stage_layout(fixture.file);
    flip_bit(layout.description_offset);

    EXPECT_THAT(error_text([&] { FinishedStage(folder.path(), "responses"); }),
                HasSubstr("are not what they were when the file was created"));
}

TEST_F(ReadingAFinishedStage, NamesTheColumnsThereAre)
{
    finish();
    const FinishedStage stage(folder.path(), "responses");

    EXPECT_THAT(error_text([&] { stage.item_column("respnse"); }),
                HasSubstr("has no column 'respnse' of items (it has: response, half)"));
    EXPECT_THAT(error_text([&] { FinishedStage(folder.path(), "scores"); }),
                HasSubstr("has no scores.h5"));
}

}  // namespace
}  // namespace twinscreen
