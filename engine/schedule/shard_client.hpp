#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <vector>

#include "engine/schedule/service_protocol.hpp"

namespace twinscreen {

/// One rank's side of the service queue: pure rules, no threads, no MPI, time is a parameter.
///
/// Keeps one claim in hand ahead of what the main thread took, more only while shards are taken
/// faster than letters travel. Checkpoints are handed to the main thread before shards in hand; an
/// interrupted Finish drops the shards in hand.
class ShardClient {
public:
    using Clock = std::chrono::steady_clock;

    /// The plan must outlive the client.
    ShardClient(const Plan& plan, Clock::time_point now);

    /// For the main thread: the next instruction at hand, if any.
    std::optional<Instruction> take();
    /// The next checkpoint at hand, if any: before a shard that was claimed ahead is begun.
    std::optional<JoinCheckpoint> take_checkpoint();
    /// The main thread waits for an instruction, until `take` gives one.
    void wait(Clock::time_point now);
    void report(const ShardReport& report) { reports_.push_back(report); }
    /// No more reports will come.
    void drain() noexcept { draining_ = true; }

    /// A letter of the server. Throws Error(communication) for a note that cannot be read.
    void on_message(std::span<const std::byte> message);
    /// A letter that is due. `stop`: a signal told this rank to stop.
    std::optional<std::vector<std::byte>> outgoing(bool stop, Clock::time_point now);

    /// The server said so, whether or not the main thread has taken its Finish.
    bool interrupted() const noexcept { return finish_ && finish_->interrupted; }
    bool said_goodbye() const noexcept { return said_goodbye_; }
    /// After the goodbye: the server's verdict.
    bool complete() const noexcept { return complete_; }

private:
    friend struct ServiceStateReader;  // of tests/support/service_job: tells two states apart

    bool claim_is_due() const noexcept;
    void adapt_claim(Clock::time_point now);

    const Plan* plan_;
    Clock::time_point last_sent_;

    std::deque<JoinCheckpoint> checkpoints_;
    std::deque<Instruction> hand_;
    std::optional<Finish> finish_;
    std::vector<ShardReport> reports_;

    std::uint32_t claim_size_ = 1;
    Clock::time_point last_claim_;
    std::optional<Clock::time_point> waiting_since_;
    std::uint32_t joined_epoch_ = 0;
    std::uint32_t told_epoch_ = 0;
    bool claim_pending_ = false;
    bool told_waiting_ = false;
    bool told_stop_ = false;
    bool draining_ = false;
    bool told_drained_ = false;
    bool farewell_ = false;
    bool said_goodbye_ = false;
    bool complete_ = false;
};

}  // namespace twinscreen
