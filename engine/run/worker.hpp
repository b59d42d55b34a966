#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <memory>

#include "engine/base/stopwatch.hpp"
#include "engine/run/campaign.hpp"
#include "engine/run/input_reader.hpp"
#include "engine/run/shard_scratch.hpp"
#include "engine/schedule/shard_queue.hpp"
#include "engine/store/sink.hpp"

namespace twinscreen {

/// What a worker works with; everything outlives it.
struct WorkerParts {
    Experiment& experiment;
    const StagePlan& stage;
    Executor& executor;
    ResultSink& sink;
    ShardQueue& queue;
    InputReader& reader;
    StageScratch& scratch;
    const std::atomic<bool>& stop;
    int rank = 0;
    std::uint64_t seed = 0;
    Stopwatch since_start;
};

/// What one rank does between the opening of a stage and its end: claims shards, as many ahead as
/// keep the readers busy while it computes; verifies what a lost node may have torn; joins
/// checkpoints.
class Worker {
public:
    explicit Worker(const WorkerParts& parts);

    /// Until the queue says Finish. Collective where the queue announces checkpoints.
    void work();
    /// Of the last checkpoint joined; the same on every rank after `work`.
    std::uint32_t last_epoch() const noexcept { return last_epoch_; }

private:
    class ClaimingStream;

    void take(const Instruction& instruction);
    void join_announced_checkpoints();
    void join_checkpoint(const JoinCheckpoint& checkpoint);
    void claim_ahead();
    bool is_sampled(const Shard& shard) const;
    void run_shard(const Shard& shard, bool recomputed);
    void seal(const Shard& shard, const ShardReport& report, const std::filesystem::path& leftover);
    void verify_shard(const Shard& shard);
    ShardReport report_on(const Shard& shard) const;

    WorkerParts parts_;
    std::deque<Instruction> mine_;  // claimed and not started
    std::uint32_t last_epoch_;
};

}  // namespace twinscreen
