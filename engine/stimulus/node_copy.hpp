#pragma once

#include <cstdint>
#include <filesystem>

#include "engine/base/read_file.hpp"

namespace twinscreen {

/// Where a node may keep its own copy of a stimulus file.
struct NodeCopy {
    std::filesystem::path folder;  ///< on a disk of the node; empty: no copy
    std::uint64_t most_bytes = 0;  ///< larger files are read where they are
};

/// Opens the file, or a copy of it that is made once per node, by whichever process comes first
/// (the others wait), and removed when the first of its readers is done. Stimuli that are read more
/// than once (chains of a search, several stages, crops) then cost the shared file system one
/// reading per node. A copy that cannot be made is a warning, and the file itself is read. What a
/// killed job leaves (a copy, perhaps unfinished) is taken or replaced by the next one there; an
/// empty lock file stays.
///
/// Independent. Throws Error(data) as `ReadFile` does.
ReadFile open_for_node(const std::filesystem::path& file, const NodeCopy& copy);

}  // namespace twinscreen
