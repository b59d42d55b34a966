#include "engine/schedule/shard_client.hpp"

#include <algorithm>
#include <utility>

namespace twinscreen {

namespace {

/// A claim that lasts for less than this asks for twice as many shards the next time.
constexpr std::chrono::milliseconds short_claim{1};
constexpr std::uint32_t largest_claim = 64;
/// An unanswered claim of a waiting rank is probably held back by the server, not under way.
constexpr std::chrono::microseconds held_back_after{100};
/// Reports wait for another letter to ride on, but not for longer.
constexpr std::chrono::seconds oldest_report{2};

}  // namespace

ShardClient::ShardClient(const Plan& plan, Clock::time_point now)
    : plan_(&plan), last_sent_(now), last_claim_(now - short_claim)
{
}

std::optional<Instruction> ShardClient::take()
{
    std::optional<Instruction> taken;
    if (const auto checkpoint = take_checkpoint()) {
        taken = *checkpoint;
    } else if (!hand_.empty()) {
        taken = hand_.front();
        hand_.pop_front();
    } else if (finish_) {
        taken = *finish_;
    }
    if (taken) waiting_since_.reset();
    return taken;
}

std::optional<JoinCheckpoint> ShardClient::take_checkpoint()
{
    if (checkpoints_.empty()) return std::nullopt;
    const JoinCheckpoint next = checkpoints_.front();
    checkpoints_.pop_front();
    joined_epoch_ = next.epoch;
    return next;
}

void ShardClient::wait(Clock::time_point now)
{
    if (waiting_since_) return;
    waiting_since_ = now;
    told_waiting_ = false;
}

void ShardClient::on_message(std::span<const std::byte> message)
{
    const ServerNote note = decode_server_note(message, *plan_);
    for (const Instruction& instruction : note.instructions) {
        if (const auto* join = std::get_if<JoinCheckpoint>(&instruction)) {
            checkpoints_.push_back(*join);
            continue;
        }
        claim_pending_ = false;
        if (const auto* finish = std::get_if<Finish>(&instruction))
            finish_ = *finish;
        else if (!finish_)
            hand_.push_back(instruction);
    }
    if (interrupted()) hand_.clear();
    if (note.farewell) {
        farewell_ = true;
        complete_ = note.complete;
    }
}

std::optional<std::vector<std::byte>> ShardClient::outgoing(bool stop, Clock::time_point now)
{
    if (said_goodbye_) return std::nullopt;
    const bool claim = claim_is_due();
    const bool waits = waiting_since_.has_value() && hand_.empty() && !finish_;
    const bool tell_waiting =
        waits && claim_pending_ && !told_waiting_ && now - *waiting_since_ >= held_back_after;
    const bool tell_stop = stop && !told_stop_;
    const bool tell_drained = draining_ && !told_drained_;
    const bool tell_reports = !reports_.empty() && now - last_sent_ >= oldest_report;
    if (!claim && !tell_waiting && !tell_stop && !tell_drained && !tell_reports && !farewell_ &&
        told_epoch_ == joined_epoch_)
        return std::nullopt;
    RankNote note;
    if (claim) {
        adapt_claim(now);
        note.wanted = claim_size_;
        claim_pending_ = true;
    }
    note.waiting = waits;
    told_waiting_ = waits;
    note.stop = tell_stop;
    told_stop_ = told_stop_ || tell_stop;
    note.joined_epoch = told_epoch_ = joined_epoch_;
    note.drained = told_drained_ = draining_;
    note.goodbye = said_goodbye_ = farewell_;
    note.reports = std::exchange(reports_, {});
    last_sent_ = now;
    return encode(note);
}

bool ShardClient::claim_is_due() const noexcept
{
    return !finish_ && !draining_ && !claim_pending_ && hand_.size() <= claim_size_ / 2;
}

void ShardClient::adapt_claim(Clock::time_point now)
{
    const bool was_short = now - last_claim_ < short_claim;
    claim_size_ = was_short ? std::min(2 * claim_size_, largest_claim) : 1;
    last_claim_ = now;
}

}  // namespace twinscreen
