#include "engine/base/failpoint.hpp"

#include <array>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <string>
#include <unistd.h>

namespace twinscreen {
namespace {

std::string setting(const char* name, const char* otherwise)
{
    const char* value = std::getenv(name);
    return value != nullptr ? value : otherwise;
}

/// What the environment asks for, see `harness.Failpoint` in tests/integration.
struct Wanted {
    std::string name = setting("TWINSCREEN_FAILPOINT", "");
    bool is_here = setting("TWINSCREEN_FAILPOINT_RANK", "0") ==
                   setting("OMPI_COMM_WORLD_RANK", setting("PMI_RANK", "0").c_str());
    int hit = std::stoi(setting("TWINSCREEN_FAILPOINT_HIT", "1"));
    bool holds = setting("TWINSCREEN_FAILPOINT_DO", "kill") == "hold";
    std::string seen = setting("TWINSCREEN_FAILPOINT_SEEN", "");
};

/// The witness that this step was reached, before anything happens there.
void leave_a_trace(const Wanted& wanted)
{
    const int file = open(wanted.seen.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    const std::string line = wanted.name + "\n";
    if (file < 0 || write(file, line.data(), line.size()) < 0) std::perror("failpoint");
    close(file);
}

}  // namespace

int injected_device_fault() noexcept
{
    static const int code = std::stoi(setting("TWINSCREEN_DEVICE_FAULT", "0"));
    static const int batch = std::stoi(setting("TWINSCREEN_DEVICE_FAULT_BATCH", "1"));
    static std::atomic<int> batches{0};
    return code != 0 && ++batches == batch ? code : 0;
}

void reach_failpoint(const char* name) noexcept
{
    static const Wanted wanted;
    static std::atomic<int> hits{0};
    if (!wanted.is_here || wanted.name != name || ++hits != wanted.hit) return;
    leave_a_trace(wanted);
    raise(wanted.holds ? SIGSTOP : SIGKILL);
}

}  // namespace twinscreen
