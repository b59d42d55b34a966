#pragma once

#include <chrono>
#include <optional>
#include <vector>

namespace twinscreen {

/// Who has not been heard of for too long. Time is a parameter.
///
/// A watcher that was itself away (a suspended job, a laptop's lid) does not count that time as
/// silence of the others: its own pauses are recognised by the distance between two looks.
class SilenceWatch {
public:
    using Clock = std::chrono::steady_clock;

    SilenceWatch(int peers, std::chrono::milliseconds limit, Clock::time_point now);

    void heard(int peer, Clock::time_point now);
    /// This peer is not expected to speak any more.
    void forget(int peer);
    /// A peer that has been silent for longer than the limit. To be called several times per
    /// second; most calls cost nothing.
    std::optional<int> silent_peer(Clock::time_point now);

private:
    Clock::duration limit_;
    Clock::time_point last_look_;
    Clock::time_point next_scan_;
    std::vector<Clock::time_point> last_heard_;
};

}  // namespace twinscreen
