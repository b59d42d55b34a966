#pragma once

#include <filesystem>
#include <vector>

#include "engine/base/table.hpp"
#include "engine/config/section.hpp"

namespace twinscreen {

/// Puts what tables know of units (accuracies, noise ceilings) into a unit table, so that filters
/// see it: every column of numbers, by `id` and, where the file has that column, `twin`. Units that
/// no file names keep what they had, or NaN in a new column. The `accuracy.csv` of an encoding
/// score is such a file. Mistakes, and units that are named
/// twice in one file, are complained of in the elements of `unit_scores`.
void add_unit_scores(const std::vector<std::filesystem::path>& files, Table& units,
                     ConfigSection& section);

}  // namespace twinscreen
