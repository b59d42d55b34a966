#include "engine/base/background_thread.hpp"

#include <sys/resource.h>

namespace twinscreen {

void give_way() noexcept
{
    constexpr int niceness = 10;             // about a tenth of the share of a computing thread
    setpriority(PRIO_PROCESS, 0, niceness);  // on Linux: of this thread only
}

}  // namespace twinscreen
