#pragma once

#include <chrono>
#include <memory>

#include "engine/comm/communicator.hpp"

namespace twinscreen {

/// While this lives, a thread of its own says to rank 0 that this rank is there, and rank 0 says so
/// to all: also while the main threads compute, write or wait in a collective call. A rank that is
/// silent for longer than `silence` (it died, is stopped, or its network is gone) ends the whole
/// job with a sentence that names it, and exit code 6; nothing would otherwise wake up those who
/// wait for it.
///
/// Does nothing with one rank, or where MPI has no room for a second thread.
class Heartbeat {
public:
    /// Collective.
    Heartbeat(Communicator& communicator, std::chrono::milliseconds silence);
    /// Collective, unless an exception unwinds: waits until every rank says goodbye, so that no
    /// letter is left under way.
    ~Heartbeat();
    Heartbeat(const Heartbeat&) = delete;
    Heartbeat& operator=(const Heartbeat&) = delete;

private:
    class Thread;
    std::unique_ptr<Thread> thread_;
};

}  // namespace twinscreen
