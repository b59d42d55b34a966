#include "engine/base/memory.hpp"

#include "engine/base/error.hpp"

namespace twinscreen {
namespace {

constexpr double bytes_per_gib = 1024.0 * 1024.0 * 1024.0;

}  // namespace

void require_memory(std::string_view what, double bytes)
{
    const auto available = static_cast<double>(available_memory());
    TWINSCREEN_REQUIRE(bytes <= available, device,
                       "{} needs {:.1f} GiB of memory, {:.1f} GiB are available. Choose fewer "
                       "units or a smaller twin, start fewer ranks on this machine, or use one "
                       "with more memory",
                       what, bytes / bytes_per_gib, available / bytes_per_gib);
}

}  // namespace twinscreen
