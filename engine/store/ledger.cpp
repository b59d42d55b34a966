#include "engine/store/ledger.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

#include "engine/base/digest.hpp"

namespace twinscreen {

namespace {

static_assert(std::endian::native == std::endian::little, "stores are little-endian");

constexpr std::size_t own_checksum_at = 56;

/// The stored form; members are ordered so that there is no padding.
struct Stored {
    std::uint32_t state;
    std::uint32_t epoch;
    std::uint64_t shard;
    std::uint64_t checksum;
    std::int32_t rank;
    std::uint32_t attempt;
    float compute_s;
    float write_s;
    std::array<std::uint64_t, 2> unused;
    std::uint64_t own_checksum;
};
static_assert(sizeof(Stored) == ledger_record_bytes);

std::uint64_t own_checksum_of(const std::byte* bytes) noexcept
{
    return checksum_of(std::span(bytes, own_checksum_at));
}

}  // namespace

LedgerBytes encode(const LedgerRecord& record) noexcept
{
    const Stored stored{record.sealed ? 1U : 0U,
                        record.epoch,
                        record.shard,
                        record.checksum,
                        record.rank,
                        record.attempt,
                        record.compute_s,
                        record.write_s,
                        {},
                        0};
    LedgerBytes bytes = std::bit_cast<LedgerBytes>(stored);
    const std::uint64_t own = own_checksum_of(bytes.data());
    std::memcpy(bytes.data() + own_checksum_at, &own, sizeof(own));
    return bytes;
}

std::optional<LedgerRecord> decode(std::span<const std::byte, ledger_record_bytes> bytes,
                                   std::uint64_t shard) noexcept
{
    Stored stored;
    std::memcpy(&stored, bytes.data(), sizeof(stored));
    if (stored.own_checksum != own_checksum_of(bytes.data()) || stored.shard != shard ||
        stored.state > 1)
        return std::nullopt;
    return LedgerRecord{stored.state == 1, stored.epoch,   stored.shard,     stored.checksum,
                        stored.rank,       stored.attempt, stored.compute_s, stored.write_s};
}

bool is_blank(std::span<const std::byte, ledger_record_bytes> bytes) noexcept
{
    return std::all_of(bytes.begin(), bytes.end(),
                       [](std::byte value) { return value == std::byte{0}; });
}

std::uint64_t encode_epoch(std::uint32_t epoch) noexcept
{
    constexpr std::uint64_t upper_half = 0xFFFFFFFF00000000;
    return epoch | (checksum_of(std::as_bytes(std::span(&epoch, 1))) & upper_half);
}

std::optional<std::uint32_t> decode_epoch(std::uint64_t stored) noexcept
{
    const auto epoch = static_cast<std::uint32_t>(stored);
    return stored == encode_epoch(epoch) ? std::optional(epoch) : std::nullopt;
}

std::uint64_t combined_checksum(std::span<const std::uint64_t> columns) noexcept
{
    return checksum_of(std::as_bytes(columns));
}

StageState state_of(std::span<const std::byte> ledger, const Plan& plan,
                    std::optional<std::uint32_t> sealed_epoch)
{
    const std::uint64_t shards = plan.shards();
    TWINSCREEN_REQUIRE(ledger.size() == (shards + 1) * ledger_record_bytes, internal,
                       "a ledger of {} bytes cannot belong to {} shards", ledger.size(), shards);
    const auto record_at = [&](std::uint64_t record) {
        return decode(ledger.subspan(record * ledger_record_bytes).first<ledger_record_bytes>(),
                      record);
    };
    StageState state;
    state.existed = true;
    state.epoch = sealed_epoch.value_or(0);
    for (std::uint64_t shard = 0; shard < shards; ++shard) {
        const auto record = record_at(shard);
        if (!record || !record->sealed) {
            state.open.push_back(ShardId{shard});
            continue;
        }
        state.sealed_items += plan.shard(ShardId{shard}).items.count;
        if (!sealed_epoch || record->epoch > *sealed_epoch) state.suspect.push_back(ShardId{shard});
        // Checkpoints must not count from the start again: what they make safe is newer than all.
        if (!sealed_epoch) state.epoch = std::max(state.epoch, record->epoch);
    }
    const auto summary = record_at(shards);
    state.complete = state.open.empty() && state.suspect.empty() && summary && summary->sealed;
    return state;
}

}  // namespace twinscreen
