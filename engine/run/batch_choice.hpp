#pragma once

#include <cstdint>
#include <filesystem>

#include "engine/comm/communicator.hpp"
#include "engine/device/executor.hpp"
#include "engine/run/experiment.hpp"

namespace twinscreen {

/// The batch of `[run] batch_items = "auto"`, which results depend on in their last bits: the one
/// with which the store of this stage was begun, else the largest that fits on every rank (at most
/// that of the plan), or that of the plan where images run one by one. Collective, same answer on
/// every rank; ends the job as in `agree` where not even one picture fits.
std::uint32_t choose_batch(const std::filesystem::path& store, StagePlan& stage, Executor& executor,
                           Communicator& communicator);

}  // namespace twinscreen
