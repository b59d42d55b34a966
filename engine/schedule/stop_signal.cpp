#include "engine/schedule/stop_signal.hpp"

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "engine/base/error.hpp"

namespace twinscreen {

namespace {

// The one place with global mutable state: a signal handler has no other way to tell anybody.
std::atomic<bool> requested{false};
std::atomic<int> first_signal{0};
std::atomic<std::int64_t> first_ending_ms{0};
static_assert(std::atomic<std::int64_t>::is_always_lock_free, "needed in a signal handler");

constexpr std::int64_t same_request_ms = 500;

std::int64_t now_ms() noexcept
{
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return std::int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1'000'000;
}

// Only lock-free atomics, clock_gettime and _exit: all async-signal-safe.
extern "C" void on_stop_signal(int signal)
{
    int none = 0;
    first_signal.compare_exchange_strong(none, signal);
    requested = true;
    if (signal == SIGUSR1) return;
    const std::int64_t now = now_ms();
    std::int64_t first = 0;
    if (first_ending_ms.compare_exchange_strong(first, now)) return;
    if (now - first > same_request_ms) _exit(exit_resumable);
}

}  // namespace

void install_stop_signals()
{
    struct sigaction action = {};
    action.sa_handler = on_stop_signal;
    action.sa_flags = SA_RESTART;
    sigemptyset(&action.sa_mask);
    for (const int signal : {SIGUSR1, SIGTERM, SIGINT})
        TWINSCREEN_REQUIRE(sigaction(signal, &action, nullptr) == 0, internal,
                           "the handler of signal {} cannot be installed ({})", signal,
                           std::strerror(errno));
}

std::atomic<bool>& stop_requested() noexcept { return requested; }

int stop_signal() noexcept { return first_signal; }

}  // namespace twinscreen
