#include "benchmarks/virtual_job.hpp"

#include <algorithm>
#include <deque>
#include <functional>
#include <queue>
#include <utility>

#include "engine/base/stopwatch.hpp"
#include "engine/schedule/shard_client.hpp"
#include "engine/schedule/shard_server.hpp"

namespace twinscreen::bench {

namespace {

using namespace std::chrono_literals;
using Clock = ShardClient::Clock;
using Time = Clock::time_point;
using Duration = Clock::duration;
using Bytes = std::vector<std::byte>;

/// The patience of the messenger of ServiceQueue: so late it looks at its own rank.
constexpr Duration patience = 1ms;

/// The longest sleep of an MPI mailbox in which nothing happened for so long.
Duration longest_sleep(Duration quiet)
{
    if (quiet < 50us) return 0us;
    return std::clamp<Duration>(quiet / 16, 50us, 1ms);
}

Duration duration_of(double seconds)
{
    return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds));
}

struct Event {
    enum class Kind : std::uint8_t {
        letter_at_server,
        letter_at_rank,
        look,  ///< the messenger looks at its own rank
        shard_done,
        checkpoint_done,
        tick,
        death,
        end,
    };
    Time at;
    std::uint64_t number = 0;  ///< events of one moment happen in the order of their making
    int rank = 0;
    Kind kind{};

    friend bool operator>(const Event& a, const Event& b)
    {
        return std::pair(a.at, a.number) > std::pair(b.at, b.number);
    }
};

class VirtualJob {
public:
    VirtualJob(const JobModel& model, const Plan& plan, const std::vector<double>& costs,
               const OpenWork& work)
        : model_(model),
          costs_(costs),
          server_(plan, work, static_cast<int>(model.slowness.size()), options(), now_),
          fate_(plan.shards(), Fate::sealed)
    {
        for (const ShardId shard : work.open) fate_[index_of(shard)] = Fate::open;
        for (const ShardId shard : work.suspect) fate_[index_of(shard)] = Fate::suspect;
        ranks_.reserve(model.slowness.size());
        for (const double slowness : model.slowness)
            ranks_.emplace_back(ShardClient(plan, now_), slowness);
    }

    JobOutcome run()
    {
        for (int rank = 0; rank < size(); ++rank) {
            add(now_, Event::Kind::look, rank);
            work_on(rank);
        }
        add(now_, Event::Kind::tick);
        if (model_.death) {
            add(now_ + duration_of(model_.death->after_s), Event::Kind::death, model_.death->rank);
            add(now_ + duration_of(model_.death->after_s + model_.death->silence_s),
                Event::Kind::end);
        }
        while (!ended_ && !server_.everybody_left()) take(next_event());
        return outcome();
    }

private:
    enum class Fate : std::uint8_t { open, suspect, sealed };
    enum class Main : std::uint8_t { waiting, computing, verifying, in_collective, drained, dead };

    struct Rank {
        Rank(ShardClient a_client, double a_slowness)
            : client(std::move(a_client)), slowness(a_slowness)
        {
        }

        ShardClient client;
        double slowness;
        std::deque<Bytes> to_server;
        std::deque<Bytes> from_server;
        std::vector<Instruction> mine;  // claimed and not started
        ShardId shard{};                // in work
        Main main = Main::waiting;
        Time last_letter;
        Time entered;  // the last collective
        bool has_unsent_reports = false;
    };

    int size() const { return static_cast<int>(ranks_.size()); }
    Rank& at(int rank) { return ranks_[static_cast<std::size_t>(rank)]; }

    QueueOptions options() const
    {
        QueueOptions options;
        options.checkpoint_interval = model_.checkpoint_interval;
        return options;
    }

    void add(Time at, Event::Kind kind, int rank = 0)
    {
        events_.push({at, event_count_++, rank, kind});
    }

    Event next_event()
    {
        TWINSCREEN_REQUIRE(!events_.empty(), internal, "the ranks of a virtual job wait for ever");
        const Event event = events_.top();
        events_.pop();
        now_ = event.at;
        return event;
    }

    void take(const Event& event)
    {
        switch (event.kind) {
            case Event::Kind::letter_at_server: hear_rank(event.rank); break;
            case Event::Kind::letter_at_rank: hear_server(event.rank); break;
            case Event::Kind::look: speak(event.rank); break;
            case Event::Kind::shard_done: finish_shard(event.rank); break;
            case Event::Kind::checkpoint_done: leave_collective(); break;
            case Event::Kind::tick: tick(); break;
            case Event::Kind::death: at(event.rank).main = Main::dead; break;
            case Event::Kind::end: ended_ = true; break;
        }
    }

    // The server, and rank 0, which talks to it without letters.

    void hear_rank(int from)
    {
        const Bytes letter = std::move(at(from).to_server.front());
        at(from).to_server.pop_front();
        serve(from, letter, now_ + longest_sleep(now_ - server_free_));
    }

    void serve(int from, const Bytes& letter, Time noticed)
    {
        const Time start = std::max(noticed, server_free_);
        const Stopwatch elapsed;
        const auto replies = server_.on_message(from, letter, start);
        server_cpu_s_ += elapsed.seconds();
        count_letter(start);
        send(replies, start, start + model_.letters.service);
    }

    void tick()
    {
        const Time start = std::max(now_, server_free_);
        const auto replies = server_.on_tick(start);
        if (!replies.empty()) {
            ++checkpoints_;
            send(replies, start, start + model_.letters.service);
        }
        add(now_ + patience, Event::Kind::tick);
    }

    /// The first letter leaves at `leaves`, the others one after the other.
    void send(const std::vector<ShardServer::Reply>& replies, Time start, Time leaves)
    {
        server_free_ = leaves;
        for (const auto& reply : replies) {
            Rank& rank = at(reply.to);
            rank.from_server.push_back(reply.message);
            const Time arrives = leaves + latency(reply.to);
            const Duration sleep =
                reply.to == 0 ? Duration{} : longest_sleep(arrives - rank.last_letter);
            add(arrives + sleep, Event::Kind::letter_at_rank, reply.to);
            server_free_ = leaves;
            leaves += model_.letters.service;
        }
        server_time_ += server_free_ - start;
    }

    Duration latency(int rank) const
    {
        if (rank == 0) return 0ns;
        return rank < model_.letters.ranks_per_node ? model_.letters.within_node
                                                    : model_.letters.between_nodes;
    }

    void count_letter(Time at)
    {
        const auto second = static_cast<std::size_t>((at - beginning_) / 1s);
        if (second >= letters_.size()) letters_.resize(second + 1);
        ++letters_[second];
    }

    // The messenger of a rank.

    void hear_server(int number)
    {
        Rank& rank = at(number);
        const Bytes letter = std::move(rank.from_server.front());
        rank.from_server.pop_front();
        if (rank.main == Main::dead) return;
        rank.client.on_message(letter);
        rank.last_letter = now_;
        speak(number);
        if (rank.main == Main::waiting) work_on(number);
        if (rank.main == Main::computing && claim_ahead(rank)) look_later(number);
    }

    void speak(int number)
    {
        Rank& rank = at(number);
        if (rank.main == Main::dead) return;
        const auto note = rank.client.outgoing(false, now_);
        if (!note) {
            // Reports that found no letter to ride on go alone after 2 s.
            if (std::exchange(rank.has_unsent_reports, false))
                add(now_ + 2s, Event::Kind::look, number);
            return;
        }
        rank.has_unsent_reports = false;
        rank.last_letter = now_;
        if (number == 0) return serve(0, *note, now_);
        rank.to_server.push_back(*note);
        add(now_ + latency(number), Event::Kind::letter_at_server, number);
    }

    void look_later(int rank) { add(now_ + patience, Event::Kind::look, rank); }

    // The main thread of a rank: Worker::work.

    void work_on(int number)
    {
        Rank& rank = at(number);
        if (rank.main == Main::dead) return;
        look_later(number);
        if (rank.mine.empty() && !claim_ahead(rank)) {
            rank.client.wait(now_);
            rank.main = Main::waiting;
            return;
        }
        if (!is_checkpoint(rank.mine.front()) && rank.client.take_checkpoint())
            return enter_collective(rank, false);
        const Instruction current = rank.mine.front();
        rank.mine.clear();
        if (!std::holds_alternative<VerifyShard>(current)) claim_ahead(rank);
        if (const auto* run = std::get_if<RunShard>(&current))
            start(number, run->shard.id, Main::computing, 1.0);
        else if (const auto* verify = std::get_if<VerifyShard>(&current))
            start(number, verify->shard.id, Main::verifying, model_.verify_share);
        else
            enter_collective(rank, std::holds_alternative<Finish>(current));
    }

    /// Worker::claim_ahead of a rank whose readers want no more than one shard.
    bool claim_ahead(Rank& rank)
    {
        if (!rank.mine.empty()) return false;
        if (const auto instruction = rank.client.take()) rank.mine.push_back(*instruction);
        return !rank.mine.empty();
    }

    void start(int number, ShardId shard, Main how, double share)
    {
        Rank& rank = at(number);
        rank.main = how;
        rank.shard = shard;
        add(now_ + duration_of(share * costs_[index_of(shard)] * rank.slowness),
            Event::Kind::shard_done, number);
    }

    void finish_shard(int number)
    {
        Rank& rank = at(number);
        if (rank.main == Main::dead) return;  // before it was done
        ShardReport report;
        report.shard = rank.shard;
        report.rank = number;
        rank.client.report(report);
        rank.has_unsent_reports = true;
        fate_[index_of(rank.shard)] = Fate::suspect;
        last_shard_done_ = now_;
        work_on(number);
    }

    void enter_collective(Rank& rank, bool is_last)
    {
        TWINSCREEN_REQUIRE(in_collective_ == 0 || is_last_collective_ == is_last, internal,
                           "the ranks of a virtual job meet in different checkpoints");
        rank.main = Main::in_collective;
        rank.entered = now_;
        is_last_collective_ = is_last;
        if (++in_collective_ == ranks_.size())
            add(now_ + duration_of(model_.checkpoint_s), Event::Kind::checkpoint_done);
    }

    void leave_collective()
    {
        in_collective_ = 0;
        std::replace(fate_.begin(), fate_.end(), Fate::suspect, Fate::sealed);
        for (int rank = 0; rank < size(); ++rank) {
            if (!is_last_collective_) {
                waited_ += now_ - at(rank).entered;
                work_on(rank);
                continue;
            }
            at(rank).main = Main::drained;
            at(rank).client.drain();
            look_later(rank);
        }
    }

    JobOutcome outcome() const
    {
        TWINSCREEN_REQUIRE(model_.death || server_.complete(), internal,
                           "a virtual job ended before its shards were done");
        JobOutcome outcome;
        outcome.computed_s = seconds_until(ended_ ? now_ : last_shard_done_);
        outcome.left_s = seconds_until(now_);
        outcome.checkpoints = checkpoints_;
        outcome.waited_s = std::chrono::duration<double>(waited_).count() / size();
        for (const std::uint64_t letters : letters_) outcome.letters += letters;
        outcome.busiest_second = *std::max_element(letters_.begin(), letters_.end());
        outcome.server_s = std::chrono::duration<double>(server_time_).count();
        outcome.server_cpu_s = server_cpu_s_;
        for (std::size_t shard = 0; shard < fate_.size(); ++shard) {
            if (fate_[shard] == Fate::open) outcome.left.open.push_back(ShardId{shard});
            if (fate_[shard] == Fate::suspect) outcome.left.suspect.push_back(ShardId{shard});
        }
        return outcome;
    }

    double seconds_until(Time time) const
    {
        return std::chrono::duration<double>(time - beginning_).count();
    }

    const JobModel& model_;
    const std::vector<double>& costs_;
    const Time beginning_{1'000'000s};
    Time now_ = beginning_;

    ShardServer server_;
    Time server_free_ = beginning_;
    Duration server_time_{};
    double server_cpu_s_ = 0.0;
    std::vector<std::uint64_t> letters_;  // [seconds]
    int checkpoints_ = 0;

    std::vector<Rank> ranks_;
    std::vector<Fate> fate_;  // [shards]
    std::size_t in_collective_ = 0;
    bool is_last_collective_ = false;
    Duration waited_{};  // of all ranks, in checkpoints by time
    Time last_shard_done_ = beginning_;
    bool ended_ = false;

    std::priority_queue<Event, std::vector<Event>, std::greater<>> events_;
    std::uint64_t event_count_ = 0;
};

}  // namespace

JobOutcome run_virtual_job(const JobModel& model, const Plan& plan,
                           const std::vector<double>& costs, const OpenWork& work)
{
    return VirtualJob(model, plan, costs, work).run();
}

}  // namespace twinscreen::bench
