#include <deque>
#include <map>
#include <random>
#include <set>

#include <gtest/gtest.h>

#include "engine/schedule/shard_client.hpp"
#include "engine/schedule/shard_server.hpp"

namespace twinscreen {
namespace {

using namespace std::chrono_literals;
using Clock = ShardServer::Clock;

struct Case {
    int ranks = 1;
    std::uint64_t shards = 0;
    std::uint64_t suspects = 0;
    bool with_stop = false;
};

/// A job in which everything that may happen in any order happens in an order drawn from a seed:
/// letters of different pairs overtake each other, main threads compute for any time, reports are
/// late. Only letters between two ranks keep their order, as Mailbox promises.
class RandomJob {
public:
    RandomJob(const Case& what, std::uint64_t seed)
        : what_(what),
          rng_(seed),
          plan_(plan_of(what)),
          server_(plan_, work_of(what), what.ranks, options(), now_)
    {
        for (int rank = 0; rank < what.ranks; ++rank) ranks_.emplace_back(ShardClient(plan_, now_));
    }

    /// Steps until everybody left; the number of steps.
    int run()
    {
        int steps = 0;
        for (; !everybody_left(); ++steps) {
            if (steps > 400'000) {
                ADD_FAILURE() << "the job does not come to an end";
                break;
            }
            step();
        }
        return steps;
    }

    void expect_promises_kept() const
    {
        for (const auto& [shard, times] : started_) EXPECT_EQ(times, 1) << "shard " << shard;
        for (const auto& [shard, times] : absorbed_) EXPECT_EQ(times, 1) << "shard " << shard;
        EXPECT_EQ(started_.size(), absorbed_.size());
        const bool complete = absorbed_.size() == what_.shards;
        EXPECT_TRUE(complete || what_.with_stop);
        for (const RankState& rank : ranks_) {
            EXPECT_EQ(rank.epochs, ranks_[0].epochs);
            EXPECT_EQ(rank.client.complete(), complete);
            ASSERT_TRUE(rank.finish.has_value());
            EXPECT_TRUE(!rank.finish->interrupted || what_.with_stop);
            EXPECT_TRUE(rank.letters_to_server.empty());
            EXPECT_TRUE(rank.letters_from_server.empty());
        }
        for (std::size_t i = 0; i < ranks_[0].epochs.size(); ++i)
            EXPECT_EQ(ranks_[0].epochs[i], 7 + i);
    }

    std::size_t checkpoints() const { return ranks_[0].epochs.size(); }

private:
    struct RankState {
        explicit RankState(ShardClient a_client) : client(std::move(a_client)) {}

        ShardClient client;
        std::deque<std::vector<std::byte>> letters_to_server;
        std::deque<std::vector<std::byte>> letters_from_server;
        std::deque<ShardId> computing;  // taken, not reported
        std::vector<std::uint32_t> epochs;
        std::optional<std::uint32_t> in_checkpoint;
        std::optional<Finish> finish;
        bool drained = false;
    };

    static Plan plan_of(const Case& what)
    {
        Plan plan;
        plan.stage = "responses";
        plan.items = what.shards;
        return plan;
    }

    static OpenWork work_of(const Case& what)
    {
        OpenWork work;
        for (std::uint64_t id = 0; id < what.shards; ++id)
            (id < what.suspects ? work.suspect : work.open).push_back(ShardId{id});
        return work;
    }

    QueueOptions options()
    {
        QueueOptions options;
        options.checkpoint_interval = 50ms;
        options.first_epoch = 7;
        options.absorb = [this](const ShardReport& report) { ++absorbed_[index_of(report.shard)]; };
        return options;
    }

    std::uint64_t draw(std::uint64_t below) { return rng_() % below; }

    bool everybody_left() const
    {
        if (!server_.everybody_left()) return false;
        for (const RankState& rank : ranks_)
            if (!rank.client.said_goodbye()) return false;
        return true;
    }

    void deliver(const std::vector<ShardServer::Reply>& replies)
    {
        for (const auto& [to, message] : replies)
            ranks_[static_cast<std::size_t>(to)].letters_from_server.push_back(message);
    }

    void step()
    {
        now_ += std::chrono::microseconds(draw(500));
        if (what_.with_stop && draw(2000) == 0) stop_ = true;
        const auto number = static_cast<int>(draw(ranks_.size()));
        RankState& rank = ranks_[static_cast<std::size_t>(number)];
        switch (draw(6)) {
            case 0: deliver(server_.on_tick(now_)); break;
            case 1:
                if (rank.letters_to_server.empty()) break;
                deliver(server_.on_message(number, rank.letters_to_server.front(), now_));
                rank.letters_to_server.pop_front();
                break;
            case 2:
                if (rank.letters_from_server.empty()) break;
                rank.client.on_message(rank.letters_from_server.front());
                rank.letters_from_server.pop_front();
                break;
            case 3:
                // Only rank 0 was told by a signal.
                if (auto note = rank.client.outgoing(stop_ && number == 0, now_))
                    rank.letters_to_server.push_back(std::move(*note));
                break;
            case 4: main_thread_acts(rank); break;
            default: writer_thread_acts(rank);
        }
    }

    void main_thread_acts(RankState& rank)
    {
        if (rank.in_checkpoint) {
            leave_checkpoint(rank);
            return;
        }
        if (rank.finish) {
            if (rank.computing.empty() && !rank.drained) {
                rank.client.drain();
                rank.drained = true;
            }
            return;
        }
        const auto instruction = rank.client.take();
        if (!instruction) {
            rank.client.wait(now_);
            return;
        }
        if (const auto* run = std::get_if<RunShard>(&*instruction))
            start(rank, run->shard, false);
        else if (const auto* verify = std::get_if<VerifyShard>(&*instruction))
            start(rank, verify->shard, true);
        else if (const auto* join = std::get_if<JoinCheckpoint>(&*instruction))
            rank.in_checkpoint = join->epoch;
        else
            rank.finish = std::get<Finish>(*instruction);
    }

    void start(RankState& rank, const Shard& shard, bool verify)
    {
        EXPECT_EQ(verify, index_of(shard.id) < what_.suspects);
        ++started_[index_of(shard.id)];
        rank.computing.push_back(shard.id);
    }

    /// A checkpoint is collective: nobody leaves before all are in it or have been.
    void leave_checkpoint(RankState& rank)
    {
        for (const RankState& other : ranks_)
            if (other.in_checkpoint != rank.in_checkpoint &&
                (other.epochs.empty() || other.epochs.back() < *rank.in_checkpoint))
                return;
        rank.epochs.push_back(*rank.in_checkpoint);
        rank.in_checkpoint.reset();
    }

    void writer_thread_acts(RankState& rank)
    {
        if (rank.computing.empty() || draw(3) == 0) return;
        ShardReport report;
        report.shard = rank.computing.front();
        rank.computing.pop_front();
        rank.client.report(report);
        if (draw(50) == 0) rank.client.report(report);
    }

    Case what_;
    std::mt19937_64 rng_;
    Clock::time_point now_{1'000'000s};
    Plan plan_;
    std::map<std::uint64_t, int> started_;
    std::map<std::uint64_t, int> absorbed_;
    ShardServer server_;
    std::vector<RankState> ranks_;
    bool stop_ = false;
};

class ServiceStress : public testing::TestWithParam<Case> {};

TEST_P(ServiceStress, KeepsItsPromisesWhateverOvertakesWhat)
{
    int steps = 0;
    std::size_t checkpoints = 0;
    for (std::uint64_t seed = 1; steps < 200'000; ++seed) {
        SCOPED_TRACE(seed);
        RandomJob job(GetParam(), seed);
        steps += job.run();
        job.expect_promises_kept();
        checkpoints += job.checkpoints();
        if (HasFailure()) return;
    }
    EXPECT_TRUE(checkpoints > 0 || GetParam().shards < 10);
}

INSTANTIATE_TEST_SUITE_P(Jobs, ServiceStress,
                         testing::Values(Case{1, 50, 0}, Case{2, 300, 20}, Case{4, 500, 0},
                                         Case{5, 3, 1}, Case{3, 0, 0}, Case{7, 400, 400},
                                         Case{1, 200, 5, true}, Case{4, 300, 10, true},
                                         Case{6, 4, 0, true}));

}  // namespace
}  // namespace twinscreen
