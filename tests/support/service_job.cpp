#include "tests/support/service_job.hpp"

#include <algorithm>
#include <bit>
#include <utility>

#include <fmt/format.h>

#include "engine/base/digest.hpp"

namespace twinscreen {

namespace {

using namespace std::chrono_literals;
using Clock = ShardClient::Clock;

/// A rank that has something to report, but no letter for it to ride on, speaks after it.
constexpr std::chrono::milliseconds long_time{10'000'000};
constexpr std::chrono::milliseconds checkpoint_interval{100'000'000'000};
constexpr std::uint32_t first_epoch = 7;

/// Collects numbers; equal sequences have equal digests.
class Numbers {
public:
    Numbers() { numbers_.reserve(128); }
    void add(std::uint64_t number) { numbers_.push_back(number); }
    std::uint64_t digest() const { return checksum_of(std::as_bytes(std::span(numbers_))); }

private:
    std::vector<std::uint64_t> numbers_;
};

/// A small number for every instruction. Shards that have been given are alike: whichever one a
/// rank holds, the same follows.
std::uint64_t number_of(const Instruction& instruction)
{
    std::uint64_t value = 0;
    if (const auto* join = std::get_if<JoinCheckpoint>(&instruction)) value = join->epoch;
    if (const auto* finish = std::get_if<Finish>(&instruction)) value = finish->interrupted ? 1 : 0;
    return 8 * value + instruction.index();
}

/// Claims for more than there will ever be are alike too.
std::uint64_t number_of_claim(std::uint32_t size, std::size_t shards)
{
    return std::min<std::uint64_t>(size, std::bit_ceil(2 * shards + 1));
}

std::uint64_t digest_of(const RankNote& note, std::size_t shards)
{
    Numbers numbers;
    numbers.add(number_of_claim(note.wanted, shards));
    numbers.add(note.joined_epoch);
    for (const bool said : {note.waiting, note.stop, note.drained, note.goodbye})
        numbers.add(said ? 1 : 0);
    numbers.add(note.reports.size());
    return numbers.digest();
}

std::uint64_t digest_of(const ServerNote& note)
{
    Numbers numbers;
    for (const Instruction& instruction : note.instructions) numbers.add(number_of(instruction));
    numbers.add(note.farewell ? 101 : 100);
    numbers.add(note.complete ? 103 : 102);
    return numbers.digest();
}

}  // namespace

/// Reads everything that the future of a server or a client depends on. What it leaves out is the
/// same in all states of one job, or a time that the exploration chooses when it is looked at. The
/// exploration finds out if something is forgotten: equal states then differ in what follows.
struct ServiceStateReader {
    static void add(Numbers& numbers, const ShardServer& server)
    {
        const std::size_t shards = server.work_.size();
        numbers.add(server.next_position_);
        numbers.add(server.reported_count_);
        for (const ShardServer::Rank& rank : server.ranks_) {
            numbers.add(number_of_claim(rank.wanted, shards));
            numbers.add(rank.joined_epoch);
            numbers.add((rank.waiting ? 2U : 0U) + (rank.finished ? 4U : 0U) +
                        (rank.drained ? 8U : 0U) + (rank.left ? 16U : 0U));
        }
        numbers.add(server.announced_epoch_);
        numbers.add(server.joined_count_);
        numbers.add(server.drained_count_);
        numbers.add(server.left_count_);
        numbers.add(server.anyone_finished_ ? 1 : 0);
    }

    static void add(Numbers& numbers, const ShardClient& client)
    {
        numbers.add(client.checkpoints_.size());
        for (const JoinCheckpoint& join : client.checkpoints_) numbers.add(join.epoch);
        numbers.add(client.hand_.size());
        for (const Instruction& held : client.hand_) numbers.add(number_of(held));
        numbers.add(client.finish_ ? (client.finish_->interrupted ? 2 : 1) : 0);
        numbers.add(client.reports_.size());
        numbers.add(number_of_claim(client.claim_size_, client.plan_->shards()));
        numbers.add(client.waiting_since_ ? 1 : 0);
        numbers.add(client.joined_epoch_);
        numbers.add(client.told_epoch_);
        std::uint64_t bits = 0;
        for (const bool said :
             {client.claim_pending_, client.told_waiting_, client.told_stop_, client.draining_,
              client.told_drained_, client.farewell_, client.said_goodbye_, client.complete_})
            bits = 2 * bits + (said ? 1 : 0);
        numbers.add(bits);
    }

    /// Both times that a client looks at when it speaks, in its past: the last claim and the begin
    /// of its wait. Of a claim that is due only the first matters, else only the second.
    static void set_age(ShardClient& client, Clock::time_point now, Clock::duration age)
    {
        client.last_claim_ = now - age;
        if (client.waiting_since_) client.waiting_since_ = now - age;
    }
};

namespace test {

namespace {

std::shared_ptr<const Plan> plan_of(const JobBounds& bounds)
{
    auto plan = std::make_shared<Plan>();
    plan->stage = "responses";
    plan->items = bounds.shards;
    return plan;
}

OpenWork work_of(const JobBounds& bounds)
{
    OpenWork work;
    for (std::uint64_t id = 0; id < bounds.shards; ++id)
        (id < bounds.suspects ? work.suspect : work.open).push_back(ShardId{id});
    return work;
}

QueueOptions options_into(std::shared_ptr<std::vector<ShardReport>> absorbed)
{
    QueueOptions options;
    options.checkpoint_interval = checkpoint_interval;
    options.first_epoch = first_epoch;
    options.absorb = [absorbed = std::move(absorbed)](const ShardReport& report) {
        absorbed->push_back(report);
    };
    return options;
}

void promise(bool kept, const std::string& text)
{
    if (!kept) throw BrokenPromise(text);
}

const Clock::time_point beginning{1'000'000s};

}  // namespace

std::string JobBounds::text() const
{
    std::string text = fmt::format("{} rank{}, {} shard{}", ranks, ranks == 1 ? "" : "s", shards,
                                   shards == 1 ? "" : "s");
    if (suspects > 0) text += fmt::format(" ({} suspect)", suspects);
    if (checkpoints > 0)
        text += fmt::format(", {} checkpoint{}", checkpoints, checkpoints == 1 ? "" : "s");
    if (signals > 0) text += fmt::format(", {} signal{}", signals, signals == 1 ? "" : "s");
    if (pauses > 0) text += fmt::format(", {} long pause{} each", pauses, pauses == 1 ? "" : "s");
    if (claimed_ahead != 1) text += fmt::format(", {} claimed ahead", claimed_ahead);
    return text;
}

std::string JobStep::text() const
{
    const char* what = "";
    switch (kind) {
        case Kind::speak_soon: what = "speaks soon"; break;
        case Kind::speak_later: what = "speaks later"; break;
        case Kind::speak_at_last: what = "speaks after a long time"; break;
        case Kind::deliver_to_server: what = "is heard by the server"; break;
        case Kind::deliver_to_rank: what = "hears the server"; break;
        case Kind::ask_next: what = "asks for an instruction"; break;
        case Kind::claim_ahead: what = "looks ahead"; break;
        case Kind::finish_shard: what = "finishes its shard"; break;
        case Kind::find_torn: what = "finds its shard torn"; break;
        case Kind::drop_shard: what = "drops its shard"; break;
        case Kind::signal: what = "gets a signal"; break;
        case Kind::announce_checkpoint: return "a checkpoint is due";
    }
    return fmt::format("rank {} {}", rank, what);
}

ServiceJob::ServiceJob(const JobBounds& bounds)
    : bounds_(&bounds),
      absorbed_now_(std::make_shared<std::vector<ShardReport>>()),
      plan_(plan_of(bounds)),
      server_(*plan_, work_of(bounds), bounds.ranks, options_into(absorbed_now_), beginning),
      server_now_(beginning),
      given_(bounds.shards),
      started_(bounds.shards),
      reported_(bounds.shards),
      absorbed_(bounds.shards)
{
    for (int rank = 0; rank < bounds.ranks; ++rank) {
        ranks_.emplace_back(ShardClient(*plan_, beginning));
        ranks_.back().now = beginning;
        ranks_.back().last_epoch = first_epoch - 1;
    }
}

std::vector<JobStep> ServiceJob::steps() const
{
    std::vector<JobStep> steps;
    if (checkpoints_ < bounds_->checkpoints)
        steps.push_back({JobStep::Kind::announce_checkpoint, 0});
    for (int rank = 0; rank < bounds_->ranks; ++rank) add_steps_of(rank, steps);
    return steps;
}

void ServiceJob::add_steps_of(int number, std::vector<JobStep>& steps) const
{
    using Kind = JobStep::Kind;
    const Rank& rank = at(number);
    const auto add = [&](Kind kind, bool possible) {
        if (possible) steps.push_back({kind, number});
    };
    const bool has_a_voice = !rank.client.said_goodbye();
    for (std::size_t written = 0; has_a_voice && written <= rank.unwritten.size(); ++written) {
        steps.push_back({Kind::speak_soon, number, written});
        steps.push_back({Kind::speak_later, number, written});
    }
    add(Kind::speak_at_last, has_a_voice && rank.pauses < bounds_->pauses);
    add(Kind::deliver_to_server, !rank.to_server.empty());
    add(Kind::deliver_to_rank, !rank.from_server.empty());
    add(Kind::ask_next, rank.main == Main::idle);
    add(Kind::claim_ahead, rank.main == Main::computing && may_claim_ahead(rank));
    add(Kind::finish_shard, rank.main == Main::computing || rank.main == Main::verifying);
    add(Kind::find_torn, rank.main == Main::verifying);
    add(Kind::drop_shard, rank.main == Main::computing && rank.signalled);
    add(Kind::signal, signals_ < bounds_->signals && !rank.signalled && rank.main != Main::drained);
}

/// The rule of Worker::claim_ahead.
bool ServiceJob::may_claim_ahead(const Rank& rank) const
{
    if (rank.mine.empty()) return true;
    return rank.mine.size() < bounds_->claimed_ahead &&
           std::holds_alternative<RunShard>(rank.mine.back());
}

bool ServiceJob::take(const JobStep& step)
{
    Rank& rank = at(step.rank);
    switch (step.kind) {
        case JobStep::Kind::speak_soon: return speak(step, 0s);
        case JobStep::Kind::speak_later: return speak(step, 1s);
        case JobStep::Kind::speak_at_last:
            ++rank.pauses;
            rank.now += long_time;
            return speak(step, 1s);
        case JobStep::Kind::deliver_to_server: {
            const auto letter = rank.to_server.front();
            rank.to_server.pop_front();
            tell_server(step.rank, letter->bytes);
            return true;
        }
        case JobStep::Kind::deliver_to_rank: {
            const auto letter = rank.from_server.front();
            rank.from_server.pop_front();
            hand_over(rank, letter->bytes);
            return true;
        }
        case JobStep::Kind::ask_next: return ask_next(rank);
        case JobStep::Kind::claim_ahead: return claim_ahead(rank);
        case JobStep::Kind::finish_shard: finish_shard(rank); return true;
        case JobStep::Kind::find_torn: rank.main = Main::computing; return true;
        case JobStep::Kind::drop_shard: begin_next(rank); return true;
        case JobStep::Kind::signal:
            rank.signalled = true;
            ++signals_;
            return true;
        case JobStep::Kind::announce_checkpoint: return announce_checkpoint();
    }
    return false;
}

bool ServiceJob::speak(const JobStep& step, Clock::duration age)
{
    Rank& rank = at(step.rank);
    write(rank, step.written);
    ServiceStateReader::set_age(rank.client, rank.now, age);
    const auto bytes = rank.client.outgoing(rank.signalled, rank.now);
    if (!bytes) return false;
    if (step.rank == 0)
        tell_server(0, *bytes);
    else
        rank.to_server.push_back(std::make_shared<Letter>(
            Letter{*bytes, digest_of(decode_rank_note(*bytes), bounds_->shards)}));
    return true;
}

void ServiceJob::tell_server(int from, std::span<const std::byte> note)
{
    stop_is_known_ = stop_is_known_ || (signals_ > 0 && decode_rank_note(note).stop);
    send(server_.on_message(from, note, server_now_));
    for (const ShardReport& report : *absorbed_now_) {
        const std::uint64_t shard = index_of(report.shard);
        promise(reported_[shard] == 1,
                fmt::format("shard {} was absorbed, but not reported", shard));
        promise(++absorbed_[shard] == 1, fmt::format("shard {} was absorbed twice", shard));
    }
    absorbed_now_->clear();
}

void ServiceJob::send(const std::vector<ShardServer::Reply>& replies)
{
    for (const auto& [to, bytes] : replies) {
        Rank& rank = at(to);
        const ServerNote note = decode_server_note(bytes, *plan_);
        promise(!rank.client.said_goodbye(),
                fmt::format("a letter to rank {} was sent after its goodbye", to));
        for (const Instruction& instruction : note.instructions) note_given(instruction);
        if (to == 0)
            hand_over(rank, bytes);
        else
            rank.from_server.push_back(std::make_shared<Letter>(Letter{bytes, digest_of(note)}));
    }
}

void ServiceJob::note_given(const Instruction& instruction)
{
    const auto* run = std::get_if<RunShard>(&instruction);
    const auto* verify = std::get_if<VerifyShard>(&instruction);
    if (run == nullptr && verify == nullptr) return;
    const std::uint64_t shard = index_of(run != nullptr ? run->shard.id : verify->shard.id);
    promise((verify != nullptr) == (shard < bounds_->suspects),
            fmt::format("shard {} was given to be {}", shard,
                        verify != nullptr ? "verified" : "run without being verified"));
    promise(!stop_is_known_, fmt::format("shard {} was given after a stop", shard));
    promise(++given_[shard] == 1, fmt::format("shard {} was given twice", shard));
}

void ServiceJob::hand_over(Rank& rank, std::span<const std::byte> note)
{
    rank.client.on_message(note);
    // ServiceQueue sets the flag that a signal would have set.
    rank.signalled = rank.signalled || rank.client.interrupted();
}

bool ServiceJob::announce_checkpoint()
{
    server_now_ += checkpoint_interval;
    const auto replies = server_.on_tick(server_now_);
    if (replies.empty()) return false;
    for (const Rank& rank : ranks_)
        promise(rank.joined == checkpoints_, "a checkpoint came before all had joined the last");
    ++checkpoints_;
    send(replies);
    return true;
}

bool ServiceJob::ask_next(Rank& rank)
{
    if (rank.mine.empty()) {
        if (!take_instruction(rank)) {
            rank.client.wait(rank.now);
            return !std::exchange(rank.waits, true);
        }
        rank.waits = false;
    }
    begin_next(rank);
    return true;
}

bool ServiceJob::claim_ahead(Rank& rank) { return may_claim_ahead(rank) && take_instruction(rank); }

bool ServiceJob::take_instruction(Rank& rank)
{
    const auto instruction = rank.client.take();
    if (!instruction) return false;
    promise(
        !rank.client.interrupted() || instruction->index() >= Instruction(JoinCheckpoint{}).index(),
        "a rank began another shard after it was interrupted");
    keep(rank, *instruction);
    return true;
}

/// Worker::take.
void ServiceJob::keep(Rank& rank, const Instruction& instruction)
{
    const bool join = is_checkpoint(instruction);
    if (join) ++rank.joined;
    rank.mine.insert(join ? std::ranges::find_if_not(rank.mine, is_checkpoint) : rank.mine.end(),
                     instruction);
}

/// What Worker::work does between two shards.
void ServiceJob::begin_next(Rank& rank)
{
    rank.main = Main::idle;
    while (rank.main == Main::idle && !rank.mine.empty()) {
        if (!is_checkpoint(rank.mine.front()))
            if (const auto join = rank.client.take_checkpoint()) keep(rank, *join);
        const Instruction current = rank.mine.front();
        rank.mine.erase(rank.mine.begin());
        if (const auto* run = std::get_if<RunShard>(&current)) {
            start(rank, run->shard.id, Main::computing);
        } else if (const auto* verify = std::get_if<VerifyShard>(&current)) {
            start(rank, verify->shard.id, Main::verifying);
        } else if (const auto* join = std::get_if<JoinCheckpoint>(&current)) {
            claim_ahead(rank);
            rank.last_epoch = join->epoch;
            enter_collective(rank, {join->epoch, false});
        } else {
            promise(!std::get<Finish>(current).interrupted || signals_ > 0,
                    "a rank was interrupted, but nobody was asked to stop");
            enter_collective(rank, {rank.last_epoch + 1, true});
        }
    }
}

void ServiceJob::start(Rank& rank, ShardId shard, Main how)
{
    promise(++started_[index_of(shard)] == 1,
            fmt::format("shard {} was begun twice", index_of(shard)));
    if (rank.signalled) return;
    rank.shard = index_of(shard);
    rank.main = how;
}

void ServiceJob::finish_shard(Rank& rank)
{
    if (rank.main == Main::verifying)
        report(rank, rank.shard);
    else
        rank.unwritten.push_back(rank.shard);
    begin_next(rank);
}

void ServiceJob::write(Rank& rank, std::size_t count)
{
    const auto end = rank.unwritten.begin() + static_cast<std::ptrdiff_t>(count);
    for (auto shard = rank.unwritten.begin(); shard != end; ++shard) report(rank, *shard);
    rank.unwritten.erase(rank.unwritten.begin(), end);
}

void ServiceJob::report(Rank& rank, std::uint64_t shard)
{
    ShardReport report;
    report.shard = ShardId{shard};
    ++reported_[shard];
    rank.client.report(report);
}

/// The writer is drained first: a checkpoint makes safe what is sealed, and sealed is all that was
/// computed before it.
void ServiceJob::enter_collective(Rank& rank, Collective collective)
{
    write(rank, rank.unwritten.size());
    const std::size_t place = rank.collectives.size();
    for (const Rank& other : ranks_)
        promise(other.collectives.size() <= place || other.collectives[place] == collective,
                "ranks meet in different checkpoints");
    promise(collective.epoch == first_epoch + place,
            fmt::format("checkpoint {} came as number {}", collective.epoch, place + 1));
    rank.collectives.push_back(collective);
    rank.main = Main::in_collective;
    leave_collectives();
}

/// When the last rank has come, all go on.
void ServiceJob::leave_collectives()
{
    const std::size_t entered = ranks_.front().collectives.size();
    for (const Rank& rank : ranks_)
        if (rank.main != Main::in_collective || rank.collectives.size() != entered) return;
    for (Rank& rank : ranks_) {
        rank.main = Main::idle;
        if (!rank.collectives.back().last) continue;
        rank.client.drain();
        rank.main = Main::drained;
    }
}

void ServiceJob::expect_good_end() const
{
    const auto done = static_cast<std::uint64_t>(std::count(absorbed_.begin(), absorbed_.end(), 1));
    for (int number = 0; number < bounds_->ranks; ++number) {
        const Rank& rank = at(number);
        promise(rank.main == Main::drained && rank.client.said_goodbye(),
                fmt::format("rank {} waits for ever", number));
        promise(rank.to_server.empty() && rank.from_server.empty(),
                fmt::format("letters of rank {} are never received", number));
        promise(rank.client.complete() == (done == bounds_->shards),
                fmt::format("rank {} believes the job is {}complete after {} of {} shards", number,
                            rank.client.complete() ? "" : "not ", done, bounds_->shards));
    }
    promise(server_.everybody_left(), "the server waits for ever");
    promise(done == bounds_->shards || signals_ > 0,
            fmt::format("only {} of {} shards were done", done, bounds_->shards));
    promise(absorbed_ == reported_, "a report was lost");
}

std::uint64_t ServiceJob::fingerprint() const
{
    Numbers numbers;
    ServiceStateReader::add(numbers, server_);
    for (const Rank& rank : ranks_) {
        ServiceStateReader::add(numbers, rank.client);
        numbers.add(rank.to_server.size());
        for (const auto& letter : rank.to_server) numbers.add(letter->digest);
        numbers.add(rank.from_server.size());
        for (const auto& letter : rank.from_server) numbers.add(letter->digest);
        numbers.add(static_cast<std::uint64_t>(rank.main));
        numbers.add(rank.mine.size());
        for (const Instruction& claimed : rank.mine) numbers.add(number_of(claimed));
        numbers.add(rank.unwritten.size());
        numbers.add(rank.collectives.size());
        numbers.add(rank.last_epoch);
        numbers.add(static_cast<std::uint64_t>(rank.joined));
        numbers.add(static_cast<std::uint64_t>(rank.pauses));
        numbers.add((rank.signalled ? 1U : 0U) + (rank.waits ? 2U : 0U));
    }
    numbers.add(static_cast<std::uint64_t>(checkpoints_));
    numbers.add(static_cast<std::uint64_t>(signals_));
    numbers.add(stop_is_known_ ? 1 : 0);
    return numbers.digest();
}

}  // namespace test
}  // namespace twinscreen
