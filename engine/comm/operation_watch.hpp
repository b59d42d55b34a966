#pragma once

#include <chrono>
#include <cstddef>
#include <string>

#include "engine/base/error.hpp"

namespace twinscreen {

/// What a look at an operation between GPUs shows.
struct OperationState {
    enum class Progress { running, done, failed };
    Progress progress = Progress::running;
    std::string failure;  ///< what the library says about it
};

/// What to do about an operation that is looked at again and again: it must end, or the job does.
/// Time is a parameter.
class OperationWatch {
public:
    using Clock = std::chrono::steady_clock;
    enum class Decision { finish, look_again, give_up };

    /// doing  "broadcasting 40 MiB from rank 0"
    /// limit  an operation that runs for longer stands still
    OperationWatch(std::string doing, std::chrono::milliseconds limit, Clock::time_point start);

    /// A pause of this process itself (a suspended job) does not count as time of the operation.
    Decision decide(const OperationState& state, Clock::time_point now);
    /// Until the next look: zero at first, as most operations are over at once.
    std::chrono::microseconds pause() const;
    /// Error(communication) after give_up.
    Error error() const;

private:
    std::string doing_;
    Clock::duration limit_;
    Clock::duration running_{};
    Clock::time_point last_look_;
    std::string failure_;
};

/// How long an operation may take: `patience`, and the time of its bytes through a network slower
/// than which none counts as working.
std::chrono::milliseconds time_limit(std::chrono::milliseconds patience, std::size_t bytes);

}  // namespace twinscreen
