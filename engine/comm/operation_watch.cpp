#include "engine/comm/operation_watch.hpp"

#include <algorithm>
#include <utility>

namespace twinscreen {
namespace {

using std::chrono::duration_cast;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using namespace std::chrono_literals;

/// Looks are at most some milliseconds apart; more is a pause of this process.
constexpr milliseconds longest_gap = 1s;
constexpr microseconds spin_time = 1ms;
constexpr microseconds longest_pause = 1ms;
constexpr int running_over_pause = 16;
constexpr std::size_t slowest_bytes_per_ms = 100'000;  // 100 MB/s

}  // namespace

OperationWatch::OperationWatch(std::string doing, milliseconds limit, Clock::time_point start)
    : doing_(std::move(doing)), limit_(limit), last_look_(start)
{
}

OperationWatch::Decision OperationWatch::decide(const OperationState& state, Clock::time_point now)
{
    running_ += std::min<Clock::duration>(now - last_look_, longest_gap);
    last_look_ = now;
    switch (state.progress) {
        case OperationState::Progress::done: return Decision::finish;
        case OperationState::Progress::failed: failure_ = state.failure; return Decision::give_up;
        case OperationState::Progress::running: break;
    }
    return running_ > limit_ ? Decision::give_up : Decision::look_again;
}

microseconds OperationWatch::pause() const
{
    if (running_ < spin_time) return microseconds{0};
    return std::min(duration_cast<microseconds>(running_ / running_over_pause), longest_pause);
}

Error OperationWatch::error() const
{
    const std::string next_step =
        "The job cannot go on; start the same command again to resume. If it happens again, "
        "NCCL_DEBUG=INFO makes NCCL say more.";
    if (!failure_.empty())
        return {Error::Kind::communication,
                fmt::format("NCCL failed while {} ({})", doing_, failure_), next_step};
    return {Error::Kind::communication,
            fmt::format("NCCL stood still for {:.3g} s while {} (a rank or the network between "
                        "the GPUs is gone)",
                        std::chrono::duration<double>(limit_).count(), doing_),
            next_step};
}

milliseconds time_limit(milliseconds patience, std::size_t bytes)
{
    return patience + milliseconds(static_cast<std::int64_t>(bytes / slowest_bytes_per_ms));
}

}  // namespace twinscreen
