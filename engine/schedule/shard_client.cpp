#include "engine/schedule/shard_client.hpp"

#include <algorithm>
#include <utility>

#include "engine/schedule/shard_server.hpp"

namespace twinscreen {

namespace {

/// A claim that lasts for less than this asks for twice as many shards the next time.
constexpr std::chrono::milliseconds short_claim{1};
constexpr std::uint32_t largest_claim = 64;
/// An unanswered claim of a waiting rank is probably held back by the server, not under way.
constexpr std::chrono::microseconds held_back_after{100};

}  // namespace

ShardClient::ShardClient(const Plan& plan, Identity identity, std::chrono::milliseconds silence,
                         Clock::time_point now)
    : plan_(&plan),
      identity_(std::move(identity)),
      beat_(heartbeat_of(silence)),
      silence_(silence),
      watch_(1, silence, now),
      last_sent_(now),
      last_claim_(now - short_claim)
{
}

std::optional<Instruction> ShardClient::take()
{
    std::optional<Instruction> taken;
    if (!checkpoints_.empty()) {
        taken = checkpoints_.front();
        joined_epoch_ = checkpoints_.front().epoch;
        checkpoints_.pop_front();
    } else if (!hand_.empty()) {
        taken = hand_.front();
        hand_.pop_front();
    } else if (finish_) {
        taken = *finish_;
    }
    if (taken) waiting_since_.reset();
    return taken;
}

void ShardClient::wait(Clock::time_point now)
{
    if (waiting_since_) return;
    waiting_since_ = now;
    told_waiting_ = false;
}

void ShardClient::on_message(std::span<const std::byte> message, Clock::time_point now)
{
    watch_.heard(0, now);
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
    if (!claim && !tell_waiting && !tell_stop && !tell_drained && !farewell_ && told_host_ &&
        told_epoch_ == joined_epoch_ && now - last_sent_ < beat_)
        return std::nullopt;
    RankNote note;
    if (!std::exchange(told_host_, true)) note.host = identity_.host;
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

std::optional<std::string> ShardClient::silence(Clock::time_point now)
{
    if (!watch_.silent_peer(now)) return std::nullopt;
    return fmt::format(
        "rank 0 on {} has been silent for {:.3g} s, says rank {} on {} (it died, is stopped, or "
        "the "
        "network to it is gone). The job ends here; start the same command again to go on.",
        identity_.server_host, std::chrono::duration<double>(silence_).count(), identity_.rank,
        identity_.host);
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
