#include "engine/schedule/shard_server.hpp"

#include <algorithm>
#include <utility>

namespace twinscreen {

ShardServer::ShardServer(const Plan& plan, const OpenWork& work, int ranks, QueueOptions options,
                         Clock::time_point now)
    : options_(std::move(options)),
      work_(plan, work),
      reported_(plan.shards()),
      ranks_(static_cast<std::size_t>(ranks)),
      checkpoint_due_(now + options_.checkpoint_interval),
      announced_epoch_(options_.first_epoch - 1),
      joined_count_(ranks_.size())
{
}

std::vector<ShardServer::Reply> ShardServer::on_message(int from,
                                                        std::span<const std::byte> message,
                                                        Clock::time_point now)
{
    std::vector<Reply> replies;
    const RankNote note = decode_rank_note(message);
    Rank& rank = ranks_[static_cast<std::size_t>(from)];
    absorb(note);
    note_joined(rank, note.joined_epoch, now);
    if (note.wanted > 0) rank.wanted = note.wanted;
    rank.waiting = note.waiting;
    if (note.stop) stop_everybody(replies);
    answer(from, replies);
    if (note.drained && !std::exchange(rank.drained, true) && ++drained_count_ == ranks_.size())
        for (int to = 0; to < static_cast<int>(ranks_.size()); ++to)
            replies.push_back({to, encode(ServerNote{{}, true, complete()})});
    if (note.goodbye && !std::exchange(rank.left, true)) ++left_count_;
    return replies;
}

std::vector<ShardServer::Reply> ShardServer::on_tick(Clock::time_point now)
{
    std::vector<Reply> replies;
    const bool all_joined = joined_count_ == ranks_.size();
    if (now < checkpoint_due_ || !all_joined || anyone_finished_ || complete()) return replies;
    ++announced_epoch_;
    joined_count_ = 0;
    for (int to = 0; to < static_cast<int>(ranks_.size()); ++to)
        replies.push_back({to, encode(ServerNote{{JoinCheckpoint{announced_epoch_}}})});
    return replies;
}

void ShardServer::absorb(const RankNote& note)
{
    for (const ShardReport& report : note.reports) {
        TWINSCREEN_REQUIRE(index_of(report.shard) < reported_.size(), internal,
                           "rank {} reported shard {} (the stage has {})", report.rank,
                           index_of(report.shard), reported_.size());
        auto reported = reported_[index_of(report.shard)];
        if (reported) continue;
        reported = true;
        ++reported_count_;
        if (options_.absorb) options_.absorb(report);
    }
}

void ShardServer::note_joined(Rank& rank, std::uint32_t epoch, Clock::time_point now)
{
    if (epoch <= rank.joined_epoch) return;
    rank.joined_epoch = epoch;
    // A rank that computes a long shard joins late. Counting from then keeps checkpoints apart.
    if (epoch == announced_epoch_ && ++joined_count_ == ranks_.size())
        checkpoint_due_ = now + options_.checkpoint_interval;
}

void ShardServer::answer(int to, std::vector<Reply>& replies)
{
    Rank& rank = ranks_[static_cast<std::size_t>(to)];
    if (rank.finished || rank.wanted == 0) return;
    const std::size_t left = work_.size() - next_position_;
    // The last shards go to ranks that would idle without them; a claim ahead waits for its turn.
    if (left < ranks_.size() && !rank.waiting) return;
    if (left > 0) {
        give_shards(to, replies);
        return;
    }
    rank.finished = true;
    anyone_finished_ = true;
    replies.push_back({to, encode(ServerNote{{Finish{false}}})});
}

void ShardServer::give_shards(int to, std::vector<Reply>& replies)
{
    Rank& rank = ranks_[static_cast<std::size_t>(to)];
    const std::size_t left = work_.size() - next_position_;
    // Several at once only while they are a small part of what is left for everybody.
    const std::size_t fair = std::max<std::size_t>(1, left / (8 * ranks_.size()));
    const std::size_t count = std::min<std::size_t>({rank.wanted, fair, left});
    ServerNote note;
    note.instructions.reserve(count);
    for (std::size_t i = 0; i < count; ++i) note.instructions.push_back(work_.at(next_position_++));
    rank.wanted = 0;
    rank.waiting = false;
    replies.push_back({to, encode(note)});
}

void ShardServer::stop_everybody(std::vector<Reply>& replies)
{
    for (int to = 0; to < static_cast<int>(ranks_.size()); ++to) {
        if (std::exchange(ranks_[static_cast<std::size_t>(to)].finished, true)) continue;
        anyone_finished_ = true;
        replies.push_back({to, encode(ServerNote{{Finish{true}}})});
    }
}

}  // namespace twinscreen
