#include "engine/store/ledger.hpp"

#include <cstring>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace twinscreen {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

const LedgerRecord example{true, 3, 118, 0x0123456789ABCDEFULL, 2, 1, 0.5F, 0.25F};

Plan plan_of(std::uint64_t items, std::uint64_t shard_items)
{
    Plan plan;
    plan.stage = "responses";
    plan.items = items;
    plan.shard_items = shard_items;
    return plan;
}

/// A ledger in memory: sealed records with the given epochs; 0 leaves the record blank.
std::vector<std::byte> ledger_of(const std::vector<std::uint32_t>& epochs)
{
    std::vector<std::byte> ledger(epochs.size() * ledger_record_bytes);
    for (std::size_t record = 0; record < epochs.size(); ++record) {
        if (epochs[record] == 0) continue;
        const LedgerBytes bytes = encode({true, epochs[record], record, 1, 0, 1, 0.0F, 0.0F});
        std::memcpy(ledger.data() + record * ledger_record_bytes, bytes.data(), bytes.size());
    }
    return ledger;
}

TEST(Ledger, RecordsAreReadBackAsWritten)
{
    const auto found = decode(encode(example), 118);

    ASSERT_TRUE(found.has_value());
    EXPECT_EQ(*found, example);
}

TEST(Ledger, RecordsHaveTheDocumentedLittleEndianLayout)
{
    const LedgerBytes bytes = encode(example);

    const auto u32_at = [&](std::size_t at) {
        std::uint32_t value = 0;
        for (std::size_t i = 4; i-- > 0;)
            value = value << 8 | std::to_integer<unsigned>(bytes[at + i]);
        return value;
    };
    EXPECT_EQ(u32_at(0), 1U);
    EXPECT_EQ(u32_at(4), 3U);
    EXPECT_EQ(u32_at(8), 118U);
    EXPECT_EQ(u32_at(12), 0U);
    EXPECT_EQ(u32_at(16), 0x89ABCDEFU);
    EXPECT_EQ(u32_at(20), 0x01234567U);
    EXPECT_EQ(u32_at(24), 2U);
    EXPECT_EQ(u32_at(28), 1U);
    EXPECT_EQ(u32_at(32), 0x3F000000U);
    EXPECT_EQ(u32_at(36), 0x3E800000U);
    for (std::size_t at = 40; at < 56; ++at) EXPECT_EQ(bytes[at], std::byte{0});
}

TEST(Ledger, AnyFlippedBitMakesARecordTorn)
{
    for (std::size_t bit = 0; bit < 8 * ledger_record_bytes; ++bit) {
        LedgerBytes bytes = encode(example);
        bytes[bit / 8] ^= std::byte{1} << (bit % 8);

        EXPECT_FALSE(decode(bytes, 118).has_value()) << "bit " << bit;
    }
}

TEST(Ledger, ARecordAtAnotherShardsPlaceCountsAsTorn)
{
    EXPECT_FALSE(decode(encode(example), 117).has_value());
}

TEST(Ledger, BytesThatWereNeverWrittenAreBlankAndNoRecord)
{
    const LedgerBytes blank{};

    EXPECT_TRUE(is_blank(blank));
    EXPECT_FALSE(is_blank(encode(LedgerRecord{})));
    EXPECT_FALSE(decode(blank, 0).has_value());
}

TEST(Ledger, ShardsWithoutASoundRecordAreOpen)
{
    std::vector<std::byte> ledger = ledger_of({1, 0, 1, 1, 0});
    ledger[2 * ledger_record_bytes + 20] ^= std::byte{16};

    const StageState state = state_of(ledger, plan_of(10, 3), 1);

    EXPECT_TRUE(state.existed);
    EXPECT_FALSE(state.complete);
    EXPECT_THAT(state.open, ElementsAre(ShardId{1}, ShardId{2}));
    EXPECT_THAT(state.suspect, IsEmpty());
    EXPECT_EQ(state.sealed_items, 3U + 1U);  // shard 0, and the short shard 3
    EXPECT_EQ(state.epoch, 1U);
}

TEST(Ledger, SealsNewerThanTheLastCheckpointAreSuspect)
{
    const StageState state = state_of(ledger_of({2, 3, 2, 4, 4}), plan_of(10, 3), 2);

    EXPECT_THAT(state.open, IsEmpty());
    EXPECT_THAT(state.suspect, ElementsAre(ShardId{1}, ShardId{3}));
    EXPECT_FALSE(state.complete);
}

TEST(Ledger, ACheckpointNumberIsReadBackOrKnownToBeDamaged)
{
    for (const std::uint32_t epoch : {0U, 1U, 7U, 4'000'000'000U}) {
        EXPECT_EQ(decode_epoch(encode_epoch(epoch)), epoch);
        for (std::uint64_t bit = 0; bit < 64; ++bit)
            EXPECT_EQ(decode_epoch(encode_epoch(epoch) ^ (std::uint64_t{1} << bit)), std::nullopt);
    }
    EXPECT_EQ(decode_epoch(0), std::nullopt);  // a block of zeros
}

TEST(Ledger, WithoutTheNumberOfTheLastCheckpointEverySealIsSuspect)
{
    const StageState state = state_of(ledger_of({2, 3, 0, 4, 5}), plan_of(10, 3), std::nullopt);

    EXPECT_THAT(state.open, ElementsAre(ShardId{2}));
    EXPECT_THAT(state.suspect, ElementsAre(ShardId{0}, ShardId{1}, ShardId{3}));
    EXPECT_EQ(state.epoch, 4U);  // what is sealed and made safe from now on is newer
}

TEST(Ledger, AStageIsCompleteWithEveryShardAndTheSummary)
{
    EXPECT_TRUE(state_of(ledger_of({1, 1, 1, 1, 2}), plan_of(10, 3), 1).complete);
    EXPECT_FALSE(state_of(ledger_of({1, 1, 1, 1, 0}), plan_of(10, 3), 1).complete);
    EXPECT_FALSE(state_of(ledger_of({1, 1, 0, 1, 2}), plan_of(10, 3), 1).complete);
}

TEST(Ledger, TheShardChecksumDependsOnTheOrderOfColumns)
{
    const std::vector<std::uint64_t> columns{1, 2};
    const std::vector<std::uint64_t> swapped{2, 1};

    EXPECT_NE(combined_checksum(columns), combined_checksum(swapped));
}

}  // namespace
}  // namespace twinscreen
