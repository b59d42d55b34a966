#include "engine/comm/silence_watch.hpp"

#include <algorithm>

namespace twinscreen {

namespace {

constexpr auto never_silent = SilenceWatch::Clock::time_point::max();

}  // namespace

SilenceWatch::SilenceWatch(int peers, std::chrono::milliseconds limit, Clock::time_point now)
    : limit_(limit),
      last_look_(now),
      next_scan_(now),
      last_heard_(static_cast<std::size_t>(peers), now)
{
}

void SilenceWatch::heard(int peer, Clock::time_point now)
{
    auto& last = last_heard_[static_cast<std::size_t>(peer)];
    if (last != never_silent) last = now;
}

void SilenceWatch::forget(int peer) { last_heard_[static_cast<std::size_t>(peer)] = never_silent; }

std::optional<int> SilenceWatch::silent_peer(Clock::time_point now)
{
    const auto away = now - last_look_;
    last_look_ = now;
    if (away > limit_ / 4)
        for (auto& last : last_heard_)
            if (last != never_silent) last = std::min(now, last + away);
    if (now < next_scan_) return std::nullopt;
    next_scan_ = now + limit_ / 50;
    const auto longest = std::min_element(last_heard_.begin(), last_heard_.end());
    if (longest == last_heard_.end() || *longest == never_silent || now - *longest <= limit_)
        return std::nullopt;
    return static_cast<int>(longest - last_heard_.begin());
}

}  // namespace twinscreen
