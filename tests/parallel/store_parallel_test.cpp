#include <csignal>
#include <optional>
#include <sys/resource.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/store/raw_file.hpp"
#include "engine/store/stage_layout.hpp"
#include "engine/store/verify.hpp"
#include "tests/support/store_fixture.hpp"
#include "tests/support/support.hpp"

namespace twinscreen {
namespace {

using test::error_text;
using test::StoreFixture;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

/// A folder of rank 0 that every rank knows.
class StoreParallel : public ::testing::Test {
protected:
    StoreParallel()
    {
        if (communicator->rank() == 0) own_folder.emplace();
        folder = broadcast_text(*communicator, own_folder ? own_folder->path().string() : "");
        fixture.emplace(folder / "responses.h5");
    }
    ~StoreParallel() override { communicator->barrier(); }

    bool is_mine(ShardId id) const
    {
        return index_of(id) % static_cast<std::uint64_t>(communicator->size()) ==
               static_cast<std::uint64_t>(communicator->rank());
    }
    void run_mine(ResultSink& sink, const std::vector<ShardId>& shards) const
    {
        for (const ShardId id : shards)
            if (is_mine(id)) fixture->run(sink, id, communicator->rank());
    }
    void finish(ResultSink& sink) const
    {
        run_mine(sink, sink.state().open);
        sink.checkpoint(sink.state().epoch + 1);
        if (communicator->rank() == 0) fixture->write_summary(sink);
        sink.close();
    }

    std::unique_ptr<Communicator> communicator = make_mpi_communicator();
    std::optional<test::TemporaryFolder> own_folder;
    std::filesystem::path folder;
    std::optional<StoreFixture> fixture;
};

TEST_F(StoreParallel, WritesTheSameFileAsOneProcess)
{
    finish(*fixture->open(*communicator));

    if (communicator->rank() != 0) return;
    StoreFixture alone(folder / "alone.h5");
    const auto local = make_local_communicator();
    alone.finish(*alone.open(*local));
    const StageLayout a = *read_stage_layout(fixture->file);
    const StageLayout b = *read_stage_layout(alone.file);
    const RawFile file_a(fixture->file, RawFile::Access::read);
    const RawFile file_b(alone.file, RawFile::Access::read);
    EXPECT_EQ(file_a.size(), file_b.size());
    EXPECT_EQ(a.ledger_offset, b.ledger_offset);
    const auto bytes_of_range = [](const RawFile& file, std::uint64_t offset, std::uint64_t bytes) {
        std::vector<std::byte> range(bytes);
        file.read(offset, range);
        return range;
    };
    EXPECT_EQ(bytes_of_range(file_a, a.sealed_offset, a.items),
              bytes_of_range(file_b, b.sealed_offset, b.items));
    ASSERT_EQ(a.columns.size(), b.columns.size());
    for (std::size_t i = 0; i < a.columns.size(); ++i) {
        const std::uint64_t bytes = a.columns[i].rows * a.columns[i].row_bytes;
        EXPECT_EQ(a.columns[i].offset, b.columns[i].offset);
        EXPECT_EQ(bytes_of_range(file_a, a.columns[i].offset, bytes),
                  bytes_of_range(file_b, b.columns[i].offset, bytes))
            << a.columns[i].name;
    }
    const StoreVerdict verdict = verify_store(folder);
    EXPECT_EQ(verdict.stages.at(0).content_hash, verdict.stages.at(1).content_hash);
    EXPECT_NE(verdict.content_hash, "");
}

TEST_F(StoreParallel, EveryRankLearnsTheSameStateOnResume)
{
    auto sink = fixture->open(*communicator);
    run_mine(*sink, {ShardId{0}, ShardId{1}, ShardId{3}});
    sink->close();

    sink = fixture->open(*communicator);

    EXPECT_TRUE(sink->state().existed);
    EXPECT_THAT(sink->state().open, ElementsAre(ShardId{2}, ShardId{4}));
    EXPECT_THAT(sink->state().suspect, IsEmpty());
    EXPECT_EQ(sink->state().sealed_items, 15U);
    EXPECT_EQ(sink->state().epoch, 1U);
    finish(*sink);
    sink = fixture->open(*communicator);
    EXPECT_TRUE(sink->state().complete);
    for (std::uint64_t id = 0; id < fixture->plan.shards(); ++id)
        EXPECT_TRUE(fixture->holds(*sink, fixture->plan.shard(ShardId{id})));
    sink->close();
}

TEST_F(StoreParallel, AFileOfOneProcessIsContinuedByManyAndTheOtherWayRound)
{
    const auto local = make_local_communicator();
    if (communicator->rank() == 0) {
        const auto sink = fixture->open(*local);
        fixture->run(*sink, ShardId{2});
        sink->close();
    }
    communicator->barrier();
    auto sink = fixture->open(*communicator);
    EXPECT_THAT(sink->state().open, ElementsAre(ShardId{0}, ShardId{1}, ShardId{3}, ShardId{4}));
    run_mine(*sink, {ShardId{0}, ShardId{3}});
    sink->close();

    if (communicator->rank() != 0) return;
    const auto last = fixture->open(*local);
    EXPECT_THAT(last->state().open, ElementsAre(ShardId{1}, ShardId{4}));
    fixture->finish(*last);
    EXPECT_TRUE(verify_store(folder).stages.at(0).complete);
}

TEST_F(StoreParallel, EveryRankThrowsWhenTheStoreIsRefused)
{
    fixture->open(*communicator)->close();
    fixture->options.identity[0].second = "8";

    EXPECT_THAT(error_text([&] { fixture->open(*communicator); }),
                HasSubstr("seed: stored \"7\", wanted \"8\""));
}

TEST_F(StoreParallel, AFailureOnOneRankEndsTheCheckpointOnAll)
{
    const auto sink = fixture->open(*communicator);
    const int last = communicator->size() - 1;
    const Shard shard = fixture->plan.shard(ShardId{0});
    if (communicator->rank() == last) sink->seal(shard, last, 0.0F, {});

    const std::string said = error_text([&] { sink->checkpoint(1); });

    EXPECT_THAT(said, HasSubstr(communicator->rank() == last
                                    ? "was not written before the seal"
                                    : "another rank could not write its results to "));
}

TEST_F(StoreParallel, AFullDiskHasItsOwnSentence)
{
    const auto sink = fixture->open(*communicator);
    std::signal(SIGXFSZ, SIG_IGN);
    rlimit before{};
    ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
    const rlimit small{4096, before.rlim_max};  // below every dataset
    ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);

    try {
        run_mine(*sink, sink->state().open);
    } catch (const Error&) {
        // Told again by the checkpoint, to which every rank must come.
    }
    const std::string said = error_text([&] { sink->checkpoint(1); });
    ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);

    EXPECT_THAT(said, HasSubstr("no room left for " + fixture->file.string()));
}

TEST_F(StoreParallel, SuspectsLookedAtByDifferentRanksBecomeSafe)
{
    {
        const auto sink = fixture->open(*communicator);
        run_mine(*sink, sink->state().open);
        for (const ShardId id : std::vector<ShardId>(sink->state().open))
            EXPECT_TRUE(!is_mine(id) || sink->verify(fixture->plan.shard(id)));
        communicator->barrier();
    }  // not closed: as after a kill
    auto sink = fixture->open(*communicator);
    ASSERT_EQ(sink->state().suspect.size(), 5U);
    for (const ShardId id : std::vector<ShardId>(sink->state().suspect))
        EXPECT_TRUE(!is_mine(id) || sink->verify(fixture->plan.shard(id)));
    sink->close();

    sink = fixture->open(*communicator);
    EXPECT_THAT(sink->state().suspect, IsEmpty());
    sink->close();
}

}  // namespace
}  // namespace twinscreen
