#include <algorithm>
#include <fstream>
#include <limits>
#include <optional>
#include <string>
#include <sys/resource.h>

#include "engine/base/memory.hpp"

namespace twinscreen {
namespace {

/// The number after `name` in a file like /proc/meminfo, or the first one where `name` is empty.
std::optional<std::size_t> number_in(const char* file, const std::string& name)
{
    std::ifstream stream(file);
    std::string word;
    if (!name.empty())
        while (stream >> word && word != name) {
        }
    std::size_t value = 0;
    if (stream >> value) return value;
    return std::nullopt;
}

std::size_t less(std::size_t limit, std::size_t used) { return limit > used ? limit - used : 0; }

}  // namespace

std::size_t available_memory()
{
    std::size_t available = std::numeric_limits<std::size_t>::max();
    if (const auto kib = number_in("/proc/meminfo", "MemAvailable:")) available = *kib * 1024;
    rlimit limit{};
    if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
        if (const auto kib = number_in("/proc/self/status", "VmSize:"))
            available = std::min(available, less(limit.rlim_cur, *kib * 1024));
    const auto group_limit = number_in("/sys/fs/cgroup/memory.max", "");
    const auto group_used = number_in("/sys/fs/cgroup/memory.current", "");
    if (group_limit && group_used) available = std::min(available, less(*group_limit, *group_used));
    return available;
}

}  // namespace twinscreen
