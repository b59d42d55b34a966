#pragma once

#include <vector>

#include "engine/store/sink.hpp"

namespace twinscreen {

/// What every rank knows of a stage file before it opens it.
struct OpenedStage {
    StageState state;
    bool mixes_numerics = false;  ///< stored results were computed on other numerics
};

/// Collective: rank 0 creates the stage file, or examines the one that is there; everybody gets
/// the outcome, or throws the same error.
OpenedStage prepare_stage(const StoreOptions& options, const Plan& plan,
                          const std::vector<ColumnSpec>& columns, const StageTables& tables,
                          Communicator& communicator);

}  // namespace twinscreen
