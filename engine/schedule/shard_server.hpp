#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "engine/schedule/service_protocol.hpp"
#include "engine/schedule/work_list.hpp"

namespace twinscreen {

/// The rank 0 side of the service queue: pure rules, no threads, no MPI, time is a parameter.
///
/// Promises. Every shard of the open work is given to one rank, once. Every checkpoint is given to
/// every rank, once, in the same order; the next one is decided only after all ranks joined the one
/// before, and none after any rank got Finish. A stop told by one rank becomes Finish(interrupted)
/// for all who have none yet. Every report is absorbed once.
class ShardServer {
public:
    using Clock = std::chrono::steady_clock;
    struct Reply {
        int to = 0;
        std::vector<std::byte> message;
    };

    /// `options.absorb` is called within `on_message`.
    ShardServer(const Plan& plan, const OpenWork& work, int ranks, QueueOptions options,
                Clock::time_point now);

    /// Throws Error(communication) for a note that cannot be read.
    std::vector<Reply> on_message(int from, std::span<const std::byte> message,
                                  Clock::time_point now);
    /// A checkpoint that has become due. To be called several times per second.
    std::vector<Reply> on_tick(Clock::time_point now);

    /// True when every rank has said goodbye: no letters are under way.
    bool everybody_left() const noexcept { return left_count_ == ranks_.size(); }
    bool complete() const noexcept { return reported_count_ == work_.size(); }

private:
    friend struct ServiceStateReader;  // of tests/support/service_job: tells two states apart

    struct Rank {
        std::uint32_t wanted = 0;
        std::uint32_t joined_epoch = 0;
        bool waiting = false;
        bool finished = false;
        bool drained = false;
        bool left = false;
    };

    void absorb(const RankNote& note);
    void note_joined(Rank& rank, std::uint32_t epoch, Clock::time_point now);
    void answer(int to, std::vector<Reply>& replies);
    void give_shards(int to, std::vector<Reply>& replies);
    void stop_everybody(std::vector<Reply>& replies);

    QueueOptions options_;
    WorkList work_;
    std::size_t next_position_ = 0;
    std::vector<bool> reported_;
    std::size_t reported_count_ = 0;
    std::vector<Rank> ranks_;
    Clock::time_point checkpoint_due_;
    std::uint32_t announced_epoch_;
    std::size_t joined_count_;
    std::size_t drained_count_ = 0;
    std::size_t left_count_ = 0;
    bool anyone_finished_ = false;
};

}  // namespace twinscreen
