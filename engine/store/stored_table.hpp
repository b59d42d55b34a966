#pragma once

#include <chrono>
#include <filesystem>
#include <string>

#include "engine/base/table.hpp"

namespace twinscreen {

/// Reads a table of a stage file ("units": the group /units) in a child process, as the HDF5
/// library may crash or hang on a damaged file: columns in the order in which they were made,
/// texts, float64 and int64. Throws Error(store) where there is no such group, its columns have
/// different lengths, or something else is stored in it.
Table read_stored_table(const std::filesystem::path& file, const std::string& group,
                        std::chrono::milliseconds limit = std::chrono::milliseconds{60'000});

}  // namespace twinscreen
