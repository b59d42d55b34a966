#pragma once

#include <string>
#include <vector>

#include "engine/store/stage_layout.hpp"

namespace twinscreen {

/// Throws one Error(store) that lists every part in which a stored stage differs from the wanted
/// one: identity parts, columns, shards and, unless mixed numerics are allowed, the numerics.
void require_same_stage(const StoreOptions& options, const Plan& plan,
                        const std::vector<ColumnSpec>& columns, const StageLayout& stored);

}  // namespace twinscreen
