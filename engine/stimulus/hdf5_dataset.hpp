#pragma once

#include <chrono>
#include <filesystem>
#include <string>
#include <utility>

#include "engine/stimulus/npy.hpp"

namespace twinscreen {

/// Where a contiguous, uncompressed HDF5 dataset lies in its file, found by a child process.
///
/// HDF5 is never called in this process: the library is used by the writer thread and is not
/// thread-safe, and it may crash or hang on a damaged file; the child gets `limit`. No other file
/// is read and no plug-in is loaded, whatever the file asks for. Throws Error(data) for any other
/// layout, naming the command that converts it.
ArrayHeader locate_hdf5_dataset(const ReadFile& file, const std::string& dataset,
                                std::chrono::milliseconds limit = std::chrono::milliseconds{
                                    30'000});

/// Copies a dataset of any layout, slice by slice, into a .npy file (uint8, float16, float32 or
/// float64), unpacking what the library itself can unpack (gzip, shuffle, fletcher32). Works in a
/// child process that gets `limit` for every 16 MiB; leaves no file behind on failure. Links into
/// other files, virtual and external datasets and plug-ins are refused. Throws Error(data).
void convert_hdf5_to_npy(const std::filesystem::path& file, const std::string& dataset,
                         const std::filesystem::path& npy,
                         std::chrono::milliseconds limit = std::chrono::milliseconds{30'000});

/// "images.h5:/set/pixels" cut at the last ".h5:", ".hdf5:" or ".hdf:"; false without one.
bool split_hdf5_path(const std::string& text, std::string& file, std::string& dataset);

}  // namespace twinscreen
