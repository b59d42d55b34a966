#pragma once

#include <vector>

#include "engine/store/sink.hpp"

namespace twinscreen {

/// Throws Error(internal) for column lists and tables that no stage file can hold: repeated or
/// empty names, names with '/', an axis name with two extents.
void check_columns(const std::vector<ColumnSpec>& columns, const StageTables& tables);

/// Writes a new stage file with every dataset at full size and no results: under a temporary name
/// in the same folder, flushed to the disk, then renamed. One process; earlier leftovers of the
/// temporary file are replaced.
void create_stage_file(const StoreOptions& options, const Plan& plan,
                       const std::vector<ColumnSpec>& columns, const StageTables& tables);

}  // namespace twinscreen
