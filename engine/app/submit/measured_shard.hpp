#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "engine/schedule/plan.hpp"

namespace twinscreen {

/// What shards of the first stage cost one rank.
struct MeasuredShards {
    double seconds_per_item = 0.0;
    std::uint64_t items_left = 0;
    double memory_bytes = 0.0;  ///< of the process that was watched; 0: unknown
    std::string source;         ///< "128 stimuli just now on this machine"
};

/// From the shards that a job left in its store; nothing where it sealed none. Items that are
/// sealed are not counted as left.
std::optional<MeasuredShards> shards_in_store(const std::filesystem::path& folder,
                                              const Plan& plan);

/// Runs the campaign's first shard in a process of its own, for `most_seconds` at most. Throws
/// Error(data) with its messages if it fails.
///
/// run_words  the command of the whole campaign: program, "run", file, options; without --out
MeasuredShards measure_first_shard(const std::vector<std::string>& run_words, const Plan& plan,
                                   const std::string& items_are, double most_seconds);

}  // namespace twinscreen
