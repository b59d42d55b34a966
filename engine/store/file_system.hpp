#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace twinscreen {

/// What a folder lies on.
struct FileSystem {
    std::string name;        ///< "Lustre", "NFS", "ext", ...
    bool is_shared = false;  ///< other nodes may see it
    double free_bytes = 0.0;
};

/// By the number that statfs(2) gives to a kind of file system.
FileSystem file_system_of_kind(std::uint64_t kind, double free_bytes);

/// Of a folder that exists or is still to be made. Throws Error(store) where nothing can be asked.
FileSystem file_system_of(const std::filesystem::path& folder);

/// Plain sentences about a store of `bytes` there, written by `ranks`: what is too small, what gets
/// lost, what makes it faster.
std::vector<std::string> advice_for(const FileSystem& system, const std::filesystem::path& folder,
                                    double bytes, int ranks);

}  // namespace twinscreen
