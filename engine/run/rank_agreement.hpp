#pragma once

#include <filesystem>
#include <string>

#include "engine/comm/communicator.hpp"
#include "engine/run/campaign.hpp"

namespace twinscreen {

/// What has to be the same for all ranks of a job, and on which host it was found.
struct RankFacts {
    std::string host;
    std::string build;     ///< of the executable, by the linker
    std::string numerics;  ///< instruction set and libraries
    std::string twins;     ///< names and digests of the weights
    std::string stimuli;
    std::string thread_limit;  ///< OMP_THREAD_LIMIT; empty: none
    double clock_s = 0.0;      ///< since 1970
};

/// Independent.
RankFacts facts_of_this_rank(const Campaign& campaign);

/// Throws Error(device, or data for files) that names both hosts and what to do.
///
/// may_differ  other instruction sets and libraries are allowed (`numerics = "mixed"`)
void require_same(const RankFacts& mine, const RankFacts& of_rank_0, bool may_differ);

/// Collective: ends the job, as in `agree`, where a rank's facts are not those of rank 0.
void compare_ranks(Communicator& communicator, const Campaign& campaign, const RankFacts& mine);

/// Collective: rank 0 makes the folder, and every rank has to see it; else the job ends as in
/// `agree`, and a folder that was made here is gone again.
void make_shared_folder(Communicator& communicator, const std::filesystem::path& folder);

}  // namespace twinscreen
