#pragma once

#include "engine/base/digest.hpp"
#include "engine/schedule/plan.hpp"
#include "engine/store/ledger.hpp"
#include "engine/store/raw_file.hpp"
#include "engine/store/stage_layout.hpp"

namespace twinscreen {

/// The content hash of a finished stage is a digest of what it holds, its shards and columns
/// (`start_content`), the checksum of each shard, in order, and that of the summary.
Digest start_content(const StageLayout& layout);

/// The shards of a stored stage.
Plan plan_of(const StageLayout& layout);

/// The checksum of a shard's rows as they are in the file.
std::uint64_t shard_checksum(const RawFile& file, const StageLayout& layout, const Shard& shard);
/// The same of the summary.
std::uint64_t summary_checksum(const RawFile& file, const StageLayout& layout);

/// The ledger record of a shard, or (record layout.shards) of the summary, undecoded.
LedgerBytes read_record_bytes(const RawFile& file, const StageLayout& layout, std::uint64_t record);

}  // namespace twinscreen
