#pragma once

#include <atomic>

namespace twinscreen {

/// Handles SIGUSR1, SIGTERM and SIGINT from now on: the first one asks for a clean stop, a second
/// SIGTERM or SIGINT more than half a second later exits at once with `exit_resumable`. (Launchers
/// and `timeout` deliver one request twice: to the process and to its group.) Call once, after MPI
/// is initialised, because MPI libraries may install handlers of their own.
void install_stop_signals();

/// Set by the first of the signals; for `QueueOptions::stop`.
std::atomic<bool>& stop_requested() noexcept;

/// Number of the first signal that came, 0 if none.
int stop_signal() noexcept;

}  // namespace twinscreen
