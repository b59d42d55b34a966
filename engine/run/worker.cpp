#include "engine/run/worker.hpp"

#include <algorithm>

#include "engine/base/failpoint.hpp"
#include "engine/base/log.hpp"

namespace twinscreen {

/// Gives batches to the experiment and, between them, asks for the next shards, so that their
/// inputs are being read before this one is done.
class Worker::ClaimingStream final : public InputStream {
public:
    ClaimingStream(Worker& worker, InputStream& inputs) : worker_(worker), inputs_(inputs) {}
    const InputBatch* next() override
    {
        worker_.claim_ahead();
        return inputs_.next();
    }
    double fill_s() const noexcept override { return inputs_.fill_s(); }
    double wait_s() const noexcept override { return inputs_.wait_s(); }

private:
    Worker& worker_;
    InputStream& inputs_;
};

Worker::Worker(const WorkerParts& parts) : parts_(parts), last_epoch_(parts.sink.state().epoch) {}

void Worker::work()
{
    while (true) {
        join_announced_checkpoints();
        if (mine_.empty()) take(parts_.queue.next());
        const Instruction current = mine_.front();
        mine_.pop_front();
        TWINSCREEN_FAILPOINT("shard: claimed");
        // A shard found torn is announced when it is found: nothing may be announced before it.
        if (!std::holds_alternative<VerifyShard>(current)) claim_ahead();
        if (const auto* run = std::get_if<RunShard>(&current))
            run_shard(run->shard, false);
        else if (const auto* verify = std::get_if<VerifyShard>(&current))
            verify_shard(verify->shard);
        else if (const auto* join = std::get_if<JoinCheckpoint>(&current))
            join_checkpoint(*join);
        else
            return;
    }
}

/// Before the shards that were claimed ahead: whoever is there already waits for this rank.
void Worker::join_announced_checkpoints()
{
    while (!mine_.empty()) {
        if (is_checkpoint(mine_.front())) return;
        const auto announced = parts_.queue.try_checkpoint();
        if (!announced) return;
        join_checkpoint(*announced);
    }
}

void Worker::join_checkpoint(const JoinCheckpoint& checkpoint)
{
    last_epoch_ = checkpoint.epoch;
    parts_.sink.checkpoint(checkpoint.epoch);
}

void Worker::take(const Instruction& instruction)
{
    if (const auto* run = std::get_if<RunShard>(&instruction))
        parts_.reader.announce(run->shard, parts_.experiment.reads(run->shard));
    if (is_checkpoint(instruction))
        mine_.insert(std::ranges::find_if_not(mine_, is_checkpoint), instruction);
    else
        mine_.push_back(instruction);
}

void Worker::claim_ahead()
{
    // A shard may be a single batch: one of them ahead would keep a single reader busy.
    // Where nothing is read ahead, what is claimed ahead only waits.
    while (mine_.empty() || (parts_.stage.reads_stimuli && parts_.reader.wants_more())) {
        // Behind a shard that may be found torn, nothing may be announced; Finish is the last.
        if (!mine_.empty() && !std::holds_alternative<RunShard>(mine_.back())) return;
        const std::optional<Instruction> ahead = parts_.queue.try_next();
        if (!ahead) return;
        take(*ahead);
    }
}

/// The same shards on any number of ranks.
bool Worker::is_sampled(const Shard& shard) const
{
    constexpr std::uint64_t samples = 16;
    const std::uint64_t step = std::max<std::uint64_t>(parts_.stage.plan.shards() / samples, 1);
    return index_of(shard.id) % step == 0;
}

void Worker::run_shard(const Shard& shard, bool recomputed)
{
    if (parts_.stop.load()) return;
    const Stopwatch total;
    ClaimingStream inputs(*this, parts_.reader.open(shard));
    double wait_write_s = 0.0;
    const auto write = [&](ColumnId column, OwnedBatch rows) {
        const Stopwatch waited;
        parts_.sink.write(shard, column, std::move(rows));
        wait_write_s += waited.seconds();
    };
    const auto check_stop = [this] {
        if (parts_.stop.load()) throw StopRequested{};
    };
    ShardScratch scratch(parts_.scratch, shard.id);
    if (is_sampled(shard)) parts_.stage.forward->compare_next_batch();
    try {
        ShardTools tools{inputs,          *parts_.stage.forward, write,
                         parts_.executor, parts_.seed,           check_stop,
                         scratch};
        parts_.experiment.run_shard(shard, tools);
        TWINSCREEN_FAILPOINT("shard: computed");
    } catch (const StopRequested&) {
        parts_.sink.abandon(shard);
        return;
    } catch (Error& error) {
        throw error.add_context(
            fmt::format("while running shard {} on rank {}", index_of(shard.id), parts_.rank));
    }
    ShardReport report = report_on(shard);
    report.recomputed = recomputed ? 1 : 0;
    report.fill_s = static_cast<float>(inputs.fill_s());
    report.wait_fill_s = static_cast<float>(inputs.wait_s());
    report.wait_write_s = static_cast<float>(wait_write_s);
    report.compute_s = static_cast<float>(total.seconds() - inputs.wait_s() - wait_write_s);
    seal(shard, report, scratch.leftover());
}

ShardReport Worker::report_on(const Shard& shard) const
{
    ShardReport report;
    report.shard = shard.id;
    report.items = static_cast<std::uint32_t>(shard.items.count);
    report.rank = parts_.rank;
    report.finished_s = parts_.since_start.seconds();
    return report;
}

void Worker::seal(const Shard& shard, const ShardReport& report,
                  const std::filesystem::path& leftover)
{
    // On the writer thread, which outlives this worker when an error unwinds; the queue stands.
    parts_.sink.seal(shard, parts_.rank, report.compute_s,
                     [&queue = parts_.queue, clock = parts_.since_start, report,
                      leftover](const Sealed& sealed) {
                         ShardReport told = report;
                         told.checksum = sealed.checksum;
                         told.write_s = sealed.write_s;
                         told.finished_s = clock.seconds();
                         std::error_code ignored;  // it is removed with its folder
                         if (!leftover.empty()) std::filesystem::remove(leftover, ignored);
                         TWINSCREEN_FAILPOINT("seal: state removed");
                         queue.completed(told);
                     });
}

void Worker::verify_shard(const Shard& shard)
{
    if (parts_.stop.load()) return;
    // Sealed once, never taken up again: a torn shard is computed from its beginning.
    std::error_code ignored;
    std::filesystem::remove(parts_.scratch.file_of(shard.id), ignored);
    if (parts_.sink.verify(shard)) {
        ShardReport report = report_on(shard);
        report.verified = 1;
        parts_.queue.completed(report);
        return;
    }
    spdlog::warn("shard {} does not match its checksum and is computed again", index_of(shard.id));
    parts_.reader.announce(shard, parts_.experiment.reads(shard));
    run_shard(shard, true);
}

}  // namespace twinscreen
