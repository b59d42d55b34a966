#pragma once

#include <cstdint>
#include <filesystem>

#include "engine/store/raw_file.hpp"
#include "engine/store/stage_layout.hpp"

namespace twinscreen {

/// The description of a stage file is every byte that no run changes: the structure of HDF5, names,
/// types, shapes and offsets, attributes, the tables of items, units and areas, the gaps between
/// them. What runs change are the columns, the ledger, the row marks, the number of the last
/// checkpoint and the mark of mixed numerics, which have checks of their own.

/// Stores the checksum of the description in a new, closed stage file.
void seal_description(const std::filesystem::path& file);

/// Whether the description is still what it was when the file was created. Files of format version
/// 1 have no checksum: true. Throws Error(store) if the parts of the file overlap.
bool description_is_sound(const RawFile& file, const StageLayout& layout);

}  // namespace twinscreen
