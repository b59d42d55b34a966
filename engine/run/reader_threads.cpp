#include "engine/run/reader_threads.hpp"

#include <algorithm>
#include <sched.h>
#include <unistd.h>

namespace twinscreen {

int default_reader_threads(int node_ranks)
{
    cpu_set_t allowed;
    CPU_ZERO(&allowed);
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) return 1;
    const int mine = CPU_COUNT(&allowed);
    // A launcher that binds ranks gives each its own cores; unbound ranks see and share all.
    const bool is_bound = mine < static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN));
    return std::clamp(is_bound ? mine : mine / std::max(node_ranks, 1), 1, 8);
}

}  // namespace twinscreen
