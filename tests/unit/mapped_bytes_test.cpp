#include "engine/store/mapped_bytes.hpp"

#include <cstring>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/store_fixture.hpp"
#include "tests/support/support.hpp"

namespace twinscreen {
namespace {

using test::error_text;
using test::StoreFixture;
using test::TemporaryFolder;
using ::testing::AllOf;
using ::testing::HasSubstr;

class MappedColumn : public ::testing::Test {
protected:
    void SetUp() override { fixture.finish(*fixture.open(*communicator)); }

    TemporaryFolder folder;
    StoreFixture fixture{folder / "responses.h5"};
    std::unique_ptr<Communicator> communicator = make_local_communicator();
};

TEST_F(MappedColumn, HoldsTheBytesThatAreRead)
{
    const auto sink = fixture.open(*communicator);
    const std::array<std::uint64_t, 4> rows{23, 5, 1, 23};  // items, shards, the stage, items
    for (std::uint32_t column = 0; column < rows.size(); ++column) {
        const OwnedBatch read = sink->read(ColumnId{column}, 0, rows[column]);
        const ConstBatch mapped = sink->map(ColumnId{column});
        EXPECT_EQ(mapped.shape, read.shape());
        EXPECT_EQ(mapped.type, read.type());
        EXPECT_EQ(std::memcmp(mapped.data, read.view().data, read.bytes()), 0) << column;
        EXPECT_EQ(sink->map(ColumnId{column}).data, mapped.data);  // mapped once
    }
    sink->close();
}

TEST_F(MappedColumn, OfATruncatedFileIsAnErrorThatNamesIt)
{
    const auto sink = fixture.open(*communicator);
    std::filesystem::resize_file(fixture.file, 100);

    EXPECT_THAT(error_text([&] { sink->map(ColumnId{0}); }),
                AllOf(HasSubstr("responses.h5: ends before byte"), HasSubstr("(it has 100)")));
}

TEST(MappedBytes, BeginAnywhereInAPage)
{
    const TemporaryFolder folder;
    std::string text;
    for (int line = 0; line < 3000; ++line) text += std::to_string(line) + "\n";
    test::write_text(folder / "text", text);

    for (const std::uint64_t offset : {0U, 1U, 4095U, 4096U, 4097U, 9000U}) {
        const MappedBytes mapped(folder / "text", offset, text.size() - offset);
        ASSERT_EQ(mapped.bytes().size(), text.size() - offset);
        EXPECT_EQ(std::memcmp(mapped.bytes().data(), text.data() + offset, text.size() - offset),
                  0);
    }
    EXPECT_TRUE(MappedBytes(folder / "text", text.size(), 0).bytes().empty());
}

TEST(MappedBytes, BeyondTheEndOrWithoutAFileAreAnError)
{
    const TemporaryFolder folder;
    test::write_text(folder / "text", "short");

    EXPECT_THAT(error_text([&] { MappedBytes(folder / "text", 3, 3); }), HasSubstr("ends before"));
    EXPECT_THAT(error_text([&] { MappedBytes(folder / "text", 6, 1); }), HasSubstr("ends before"));
    EXPECT_THAT(error_text([&] { MappedBytes(folder / "text", ~std::uint64_t{0}, 1); }),
                HasSubstr("ends before"));
    EXPECT_THAT(error_text([&] { MappedBytes(folder / "none", 0, 1); }), HasSubstr("none"));
}

}  // namespace
}  // namespace twinscreen
