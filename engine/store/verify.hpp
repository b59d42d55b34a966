#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace twinscreen {

struct StageLayout;

/// What `verify` finds in one stage file. A single flipped bit shows up, wherever it is, except in
/// what the next run computes anyway:
///
/// - the description (every byte that no run changes, see description.hpp) has one checksum: of
///   HDF5's structure, attributes, the tables of items, units and areas, and the gaps between them.
///   Five bytes of the superblock, in which HDF5 notes that a file is open, lie under HDF5's own
///   checksum instead;
/// - results of a sealed shard (its rows of item columns, its row of every shard column) have the
///   checksum in its ledger record, and its row marks must all be 1;
/// - the summary, once sealed, has the checksum in the last ledger record;
/// - a ledger record has its own checksum, and one that was never written must be zeros;
/// - the number of the last checkpoint carries a check, the mark of mixed numerics has two values
///   far from each other.
///
/// Not checked: rows, row marks and partials of shards that are not sealed, an unsealed summary,
/// and the other files of the folder. Format version 1 has no checksum of the description and no
/// check in the number of the last checkpoint.
struct StageVerdict {
    std::string stage;
    std::filesystem::path file;
    std::uint64_t shards = 0;
    std::uint64_t sealed = 0;
    bool complete = false;                  ///< every shard and the summary are sealed
    std::vector<std::uint64_t> bad_shards;  ///< sealed, but data or ledger record do not match
    bool bad_summary = false;
    bool bad_description = false;  ///< nothing can compute it again
    bool bad_checkpoint = false;   ///< its number: the next run verifies every sealed shard
    bool bad_mixed_mark = false;   ///< neither yes nor no
    std::int64_t format_version = 0;
    std::string content_hash;  ///< over all result columns in shard order; empty if not complete
};

struct StoreVerdict {
    std::vector<StageVerdict> stages;
    std::string content_hash;  ///< of all stages in order; empty if one is not complete
};

bool is_damaged(const StageVerdict& stage) noexcept;

/// Recomputes every checksum of one stage file.
StageVerdict verify_stage(const std::filesystem::path& file, const StageLayout& layout);

/// Recomputes every checksum of every stage file of a store folder. Works on untrusted files: the
/// HDF5 library reads the layout in a child process. Throws Error(store) when there is no store.
StoreVerdict verify_store(const std::filesystem::path& folder);

/// Marks what `verify_store` found damaged as not done, so that the next run of the campaign
/// computes it again; returns the number of shards. A mark of mixed numerics that says neither yes
/// nor no becomes yes. Leaves a stage with a damaged description alone. Holds the folder's lock
/// meanwhile. Throws Error(store) when a job is using the store or the file cannot be written.
std::uint64_t reopen_damaged(const std::filesystem::path& folder, const StoreVerdict& verdict);

}  // namespace twinscreen
