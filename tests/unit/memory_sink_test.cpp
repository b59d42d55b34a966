#include "tests/support/memory_sink.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/store_fixture.hpp"
#include "tests/support/support.hpp"

namespace twinscreen {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(MemorySink, KeepsWhatIsSealedOverAReopening)
{
    const test::StoreFixture fixture("unused.h5");
    const auto first = test::make_memory_sink(fixture.plan, fixture.columns);
    for (const std::uint64_t id : {0U, 1U, 3U, 4U}) fixture.run(*first, ShardId{id});
    fixture.write(*first, fixture.plan.shard(ShardId{2}));
    first->checkpoint(1);

    const auto second = test::reopen_memory_sink(*first);

    EXPECT_TRUE(second->state().existed);
    EXPECT_THAT(second->state().open, ElementsAre(ShardId{2}));
    EXPECT_EQ(second->state().sealed_items, 18U);
    fixture.finish(*second);
    const auto last = test::reopen_memory_sink(*second);
    EXPECT_TRUE(last->state().complete);
    EXPECT_THAT(last->state().open, IsEmpty());
    EXPECT_TRUE(fixture.holds(*last, fixture.plan.shard(ShardId{4})));
    EXPECT_EQ(test::summary_of(*last, ColumnId{2}).values<std::int64_t>()[0], 20);
}

TEST(MemorySink, TellsTheSameChecksumsAsAFile)
{
    test::TemporaryFolder folder;
    const test::StoreFixture fixture(folder / "responses.h5");
    const auto communicator = make_local_communicator();
    const auto memory = test::make_memory_sink(fixture.plan, fixture.columns);
    const auto file = fixture.open(*communicator);
    std::vector<std::uint64_t> told;

    for (ResultSink* sink : {memory.get(), file.get()})
        fixture.run(*sink, ShardId{4}, 0,
                    [&](const Sealed& sealed) { told.push_back(sealed.checksum); });
    file->close();

    ASSERT_EQ(told.size(), 2U);
    EXPECT_EQ(told[0], told[1]);
}

}  // namespace
}  // namespace twinscreen
