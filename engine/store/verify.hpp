#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace twinscreen {

/// What `verify` finds in one stage file.
struct StageVerdict {
    std::string stage;
    std::filesystem::path file;
    std::uint64_t shards = 0;
    std::uint64_t sealed = 0;
    bool complete = false;                  ///< every shard and the summary are sealed
    std::vector<std::uint64_t> bad_shards;  ///< sealed, but data or ledger record do not match
    bool bad_summary = false;
    std::string content_hash;  ///< over all result columns in shard order; empty if not complete
};

struct StoreVerdict {
    std::vector<StageVerdict> stages;
    std::string content_hash;  ///< of all stages in order; empty if one is not complete
};

/// Recomputes every checksum of every stage file of a store folder. Works on untrusted files: the
/// HDF5 library reads the layout in a child process. Throws Error(store) when there is no store.
StoreVerdict verify_store(const std::filesystem::path& folder);

/// Marks what `verify_store` found damaged as not done, so that the next run of the campaign
/// computes it again; returns the number of shards. Holds the folder's lock meanwhile. Throws
/// Error(store) when a job is using the store or the file cannot be written.
std::uint64_t reopen_damaged(const std::filesystem::path& folder, const StoreVerdict& verdict);

}  // namespace twinscreen
