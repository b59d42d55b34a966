#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "engine/base/read_file.hpp"
#include "engine/stimulus/npy.hpp"

namespace twinscreen {

/// Where the responses of a .npy file, or of a dataset of an HDF5 file, lie. Throws Error(data).
ArrayHeader locate_responses(const ReadFile& file, const std::string& dataset);

/// Signal-to-noise ratio of each unit, .npy [units]; NaN without a file. Throws Error(data).
std::vector<double> read_ceilings(const std::filesystem::path& path, std::size_t units);

}  // namespace twinscreen
