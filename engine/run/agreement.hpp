#pragma once

#include <functional>
#include <optional>
#include <string>

#include "engine/base/shared_reads.hpp"
#include "engine/comm/communicator.hpp"
#include "engine/run/experiment.hpp"

namespace twinscreen {

/// A failure that every rank knows of, so all of them leave in order. The message is empty on all
/// ranks but the one that has to print it.
struct AgreedFailure {
    int exit_code = 0;
    std::string message;
};

/// Collective: every rank runs `action`; if it failed anywhere, all ranks throw AgreedFailure, with
/// the message on the lowest failing rank. So a mistake that every rank sees is printed once, and
/// nobody waits for a rank that has left.
void agree(Communicator& communicator, const std::function<void()>& action);

/// Collective: only rank 0 runs `action`; its failure ends all ranks as in `agree`.
void on_rank_0(Communicator& communicator, const std::function<void()>& action);

/// Collective: what rank 0 has read is what all others are given from now on.
void share(Communicator& communicator, SharedReads& reads);

/// Collective: fails unless every rank plans the same stage with the same settings. Every rank
/// reads the files that a campaign names; where one changed meanwhile, they would wait for each
/// other.
void agree_on_stage(Communicator& communicator, const std::optional<StagePlan>& stage);

}  // namespace twinscreen
