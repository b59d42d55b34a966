#include "engine/store/file_system.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <sys/vfs.h>

#include "engine/base/error.hpp"

namespace twinscreen {
namespace {

struct Kind {
    std::uint64_t number;
    const char* name;
    bool is_shared;
};

// The numbers are those of statfs(2) and of the file systems' own headers.
constexpr std::array kinds{
    Kind{0x0BD00BD0, "Lustre", true},   Kind{0x47504653, "GPFS", true},
    Kind{0x19830326, "BeeGFS", true},   Kind{0x6969, "NFS", true},
    Kind{0xFF534D42, "CIFS", true},     Kind{0x00C36400, "Ceph", true},
    Kind{0xAAD7AAEA, "PanFS", true},    Kind{0x20030528, "OrangeFS", true},
    Kind{0xEF53, "ext", false},         Kind{0x58465342, "XFS", false},
    Kind{0x9123683E, "Btrfs", false},   Kind{0x2FC12FC1, "ZFS", false},
    Kind{0x01021994, "tmpfs", false},   Kind{0x858458F6, "ramfs", false},
    Kind{0x794C7630, "overlay", false},
};

constexpr const char* lustre = "Lustre";
constexpr double gib = 1024.0 * 1024.0 * 1024.0;

std::string in_gib(double bytes) { return fmt::format("{:.1f} GiB", bytes / gib); }

/// Files below a few GiB need no second server; many ranks at once do.
int stripes_for(double bytes, int ranks)
{
    const double by_size = bytes / (4.0 * gib), by_ranks = static_cast<double>(ranks) / 16.0;
    return static_cast<int>(std::clamp(std::ceil(std::max(by_size, by_ranks)), 1.0, 64.0));
}

std::filesystem::path nearest_existing(const std::filesystem::path& folder)
{
    std::filesystem::path path = std::filesystem::absolute(folder);
    std::error_code ignored;
    while (!std::filesystem::exists(path, ignored) && path.has_parent_path() &&
           path != path.parent_path())
        path = path.parent_path();
    return path;
}

}  // namespace

FileSystem file_system_of_kind(std::uint64_t kind, double free_bytes)
{
    const auto* found = std::ranges::find(kinds, kind, &Kind::number);
    if (found == kinds.end()) return {fmt::format("unknown ({:#x})", kind), true, free_bytes};
    return {found->name, found->is_shared, free_bytes};
}

FileSystem file_system_of(const std::filesystem::path& folder)
{
    const std::filesystem::path path = nearest_existing(folder);
    struct statfs facts {};
    TWINSCREEN_REQUIRE(statfs(path.c_str(), &facts) == 0, store,
                       "{}: its file system tells nothing ({})", path.string(),
                       std::strerror(errno));
    // The kernel's numbers have 32 bits, whatever the sign of their type.
    return file_system_of_kind(
        static_cast<std::uint32_t>(facts.f_type),
        static_cast<double>(facts.f_bavail) * static_cast<double>(facts.f_bsize));
}

std::vector<std::string> advice_for(const FileSystem& system, const std::filesystem::path& folder,
                                    double bytes, int ranks)
{
    std::vector<std::string> lines;
    if (system.free_bytes < bytes)
        lines.push_back(fmt::format("warning: {} are free in {}, and this stage takes {}",
                                    in_gib(system.free_bytes), folder.string(), in_gib(bytes)));
    if (system.name == "tmpfs" || system.name == "ramfs")
        lines.push_back("warning: it lies in memory, and is gone when the machine starts again");
    else if (!system.is_shared)
        lines.emplace_back("other nodes do not see it: for one machine only");
    if (system.name == "NFS")
        lines.emplace_back(
            "one server takes everything that all ranks write: where the site has a parallel file "
            "system, use that");
    if (system.name == lustre)
        lines.push_back(fmt::format("before the first run: lfs setstripe -c {} -S 4M {}",
                                    stripes_for(bytes, ranks), folder.string()));
    return lines;
}

}  // namespace twinscreen
