#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <variant>
#include <vector>

#include "engine/comm/communicator.hpp"
#include "engine/schedule/plan.hpp"

namespace twinscreen {

/// What a rank tells about a shard that it sealed.
struct ShardReport {
    ShardId shard{};
    std::uint64_t checksum = 0;
    std::uint32_t items = 0;
    std::int32_t rank = 0;
    std::uint8_t recomputed = 0;  ///< 1: verified on resume, found torn and computed again
    std::uint8_t verified = 0;    ///< 1: verified on resume and kept
    float fill_s = 0.0F;          ///< decoding and drawing of its inputs [s of reader threads]
    float compute_s = 0.0F;       ///< forward passes and measures [s]
    float write_s = 0.0F;         ///< checksum and write [s of the writer thread]
    float wait_fill_s = 0.0F;     ///< the computing thread waited for inputs [s]
    float wait_write_s = 0.0F;    ///< the computing thread waited for room in the writer [s]
    double finished_s = 0.0;      ///< since the start of the run, on the reporting rank [s]
};

struct RunShard {
    Shard shard;
};
/// On resume: re-read what a lost node may have torn, compare, compute again on a mismatch.
struct VerifyShard {
    Shard shard;
};
struct JoinCheckpoint {
    std::uint32_t epoch = 0;
};
struct Finish {
    bool interrupted = false;
};
using Instruction = std::variant<RunShard, VerifyShard, JoinCheckpoint, Finish>;

inline bool is_checkpoint(const Instruction& instruction) noexcept
{
    return std::holds_alternative<JoinCheckpoint>(instruction);
}

/// Hands out the shards of one stage, each exactly once.
class ShardQueue {
public:
    virtual ~ShardQueue() = default;
    /// Blocks until there is something to do. May be called before the previous shard is computed,
    /// so that inputs can be prefetched. After Finish it must not be called again. Throws what went
    /// wrong in the queue's own threads, `absorb` included.
    virtual Instruction next() = 0;
    /// What is at hand now, without waiting: the way to look ahead for prefetching. Near the end of
    /// a stage it answers nothing while this rank still computes, so that no rank hoards the last
    /// shards; `next` always gets its share.
    virtual std::optional<Instruction> try_next() = 0;
    /// An announced checkpoint, without waiting. To be asked before a shard that was claimed ahead
    /// is begun: others wait in the checkpoint for this rank.
    virtual std::optional<JoinCheckpoint> try_checkpoint() { return std::nullopt; }
    /// Thread-safe; called after the seal. Rides on the next message. Does not throw what `absorb`
    /// throws: `next` and `drain` do.
    virtual void completed(const ShardReport& report) = 0;
    /// Collective; to be called once, after Finish and after the sink has sealed everything of this
    /// rank. Sends the last reports; returns when every rank has drained and, on rank 0, all
    /// reports are absorbed. True, with the same answer on every rank, if every shard of the open
    /// work was reported; `Finish::interrupted` may differ between ranks when a stop falls into the
    /// last shards, this does not.
    virtual bool drain() = 0;
};

/// What is left to do, in the order in which it should be handed out.
struct OpenWork {
    std::vector<ShardId> suspect;  ///< to verify: sealed after the last checkpoint
    std::vector<ShardId> open;     ///< to run
};

struct QueueOptions {
    std::chrono::milliseconds checkpoint_interval{600'000};
    std::uint32_t first_epoch = 1;  ///< number of the next checkpoint
    /// Set by a signal on this rank: finish as interrupted. The queue sets it itself when it
    /// learns that another rank was asked to stop.
    std::atomic<bool>* stop = nullptr;
    /// Called on rank 0 once for every report (progress, telemetry), from one thread at a time. It
    /// may be slow: it holds nobody up before `drain`.
    std::function<void(const ShardReport&)> absorb;
};

/// One process, no threads, no messages.
std::unique_ptr<ShardQueue> make_local_queue(const Plan&, const OpenWork&, QueueOptions);
/// Collective. Shard i of the open list to rank i mod size; no messages before `drain`, no
/// checkpoint by time, and a stop is seen only by the ranks that got the signal. Used when MPI
/// lacks MPI_THREAD_MULTIPLE. The communicator must outlive the queue.
std::unique_ptr<ShardQueue> make_static_queue(const Plan&, const OpenWork&, Communicator&,
                                              QueueOptions);
/// Collective. A thread on rank 0 answers claims while that rank computes too; the open work and
/// `absorb` of other ranks are not looked at. Every rank has a thread that talks. The communicator
/// must outlive the queue.
std::unique_ptr<ShardQueue> make_service_queue(const Plan&, const OpenWork&, Communicator&,
                                               QueueOptions);
/// Collective. The queue that fits: local for one process, service for several, static (said aloud
/// on rank 0) where MPI lacks MPI_THREAD_MULTIPLE.
std::unique_ptr<ShardQueue> make_shard_queue(const Plan&, const OpenWork&, Communicator&,
                                             QueueOptions);

}  // namespace twinscreen
