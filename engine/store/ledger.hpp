#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "engine/store/sink.hpp"

namespace twinscreen {

/// What the ledger knows about one shard, or (in the last record) about the stage summary.
struct LedgerRecord {
    bool sealed = false;
    std::uint32_t epoch = 0;     ///< the checkpoint that makes the seal safe
    std::uint64_t shard = 0;     ///< number of the record: a misplaced record counts as torn
    std::uint64_t checksum = 0;  ///< XXH3-64 over the XXH3-64 of each column, in column order
    std::int32_t rank = 0;
    std::uint32_t attempt = 0;  ///< 1: sealed for the first time
    float compute_s = 0.0F;
    float write_s = 0.0F;

    friend bool operator==(const LedgerRecord&, const LedgerRecord&) = default;
};

/// Size of one stored record [bytes].
inline constexpr std::size_t ledger_record_bytes = 64;
using LedgerBytes = std::array<std::byte, ledger_record_bytes>;

/// Little-endian: state u32, epoch u32, shard u64, checksum u64, rank i32, attempt u32,
/// compute_s f32, write_s f32, 16 zero bytes, XXH3-64 of the 56 bytes before it.
LedgerBytes encode(const LedgerRecord& record) noexcept;

/// Nothing where the bytes are torn, corrupt, another shard's or were never written: such a shard
/// is open.
std::optional<LedgerRecord> decode(std::span<const std::byte, ledger_record_bytes> bytes,
                                   std::uint64_t shard) noexcept;

/// True where nothing was ever written.
bool is_blank(std::span<const std::byte, ledger_record_bytes> bytes) noexcept;

/// The stored form of the number of a checkpoint: the number below, half of its checksum above, so
/// that eight bytes, which are written at once, tell whether they are whole.
std::uint64_t encode_epoch(std::uint32_t epoch) noexcept;
/// Nothing where the bytes are torn or corrupt.
std::optional<std::uint32_t> decode_epoch(std::uint64_t stored) noexcept;

/// Stored where a stage was continued on other numerics; far from 0, which says that it was not.
inline constexpr std::uint8_t mixed_numerics_mark = 0xFF;

/// XXH3-64 over the checksums of the columns in column order.
std::uint64_t combined_checksum(std::span<const std::uint64_t> columns) noexcept;

/// What a whole ledger, [plan.shards() + 1] records, says about a stage. Sealed shards whose epoch
/// is newer than `sealed_epoch` are suspect: a lost node may have torn them. All of them are where
/// the number of the last checkpoint is lost.
StageState state_of(std::span<const std::byte> ledger, const Plan& plan,
                    std::optional<std::uint32_t> sealed_epoch);

}  // namespace twinscreen
