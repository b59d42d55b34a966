#pragma once

#include <atomic>
#include <filesystem>
#include <string>
#include <vector>

#include "engine/comm/communicator.hpp"
#include "engine/run/campaign.hpp"

namespace twinscreen {

/// What the closing summary says; filled on rank 0.
struct RunSummary {
    int exit_code = 0;  ///< 0, or exit_resumable after a stop
    std::vector<std::string> lines;
    std::vector<std::string> stages;  ///< those begun, in order
};

/// Collective: runs or resumes all stages of a campaign in `folder`. Throws Error on the first
/// failure that a person has to act on; results sealed until then are kept.
///
/// stop  set by a signal: the job seals nothing more, flushes, and returns exit_resumable
RunSummary run_campaign(Campaign& campaign, const std::filesystem::path& folder,
                        Communicator& communicator, std::atomic<bool>& stop);

/// What must be equal for a stored stage of this campaign to be continued.
Identity stage_identity(const Campaign& campaign, const StagePlan& stage);

}  // namespace twinscreen
