#include "engine/schedule/service_protocol.hpp"

#include <algorithm>
#include <chrono>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/schedule/shard_client.hpp"
#include "engine/schedule/shard_server.hpp"
#include "tests/support/support.hpp"

namespace twinscreen {
namespace {

using namespace std::chrono_literals;
using Clock = ShardServer::Clock;

const Clock::time_point start{1'000'000s};

Plan plan_of(std::uint64_t shards)
{
    Plan plan;
    plan.stage = "responses";
    plan.items = shards;
    return plan;
}

OpenWork everything(const Plan& plan)
{
    OpenWork work;
    for (std::uint64_t id = 0; id < plan.shards(); ++id) work.open.push_back(ShardId{id});
    return work;
}

RankNote claim(std::uint32_t wanted, bool waiting)
{
    RankNote note;
    note.wanted = wanted;
    note.waiting = waiting;
    return note;
}

ShardReport report_of(std::uint64_t shard)
{
    ShardReport report;
    report.shard = ShardId{shard};
    return report;
}

/// "run 3", "verify 3", "checkpoint 2", "finish", "interrupted"
std::string text_of(const Instruction& instruction)
{
    if (const auto* run = std::get_if<RunShard>(&instruction))
        return fmt::format("run {}", index_of(run->shard.id));
    if (const auto* verify = std::get_if<VerifyShard>(&instruction))
        return fmt::format("verify {}", index_of(verify->shard.id));
    if (const auto* join = std::get_if<JoinCheckpoint>(&instruction))
        return fmt::format("checkpoint {}", join->epoch);
    return std::get<Finish>(instruction).interrupted ? "interrupted" : "finish";
}

/// A server whose replies are read as text: "0: run 3", "1: farewell complete".
class ReadableServer {
public:
    ReadableServer(std::uint64_t shards, int ranks, QueueOptions options = {})
        : plan_(plan_of(shards)),
          server_(plan_, everything(plan_), ranks, std::move(options), start)
    {
    }

    std::vector<std::string> tell(int from, const RankNote& note, Clock::duration since_start = {})
    {
        return texts(server_.on_message(from, encode(note), start + since_start));
    }
    std::vector<std::string> tick(Clock::duration since_start)
    {
        return texts(server_.on_tick(start + since_start));
    }
    ShardServer& server() { return server_; }

private:
    std::vector<std::string> texts(const std::vector<ShardServer::Reply>& replies) const
    {
        std::vector<std::string> all;
        for (const auto& [to, message] : replies) {
            const ServerNote note = decode_server_note(message, plan_);
            if (note.farewell)
                all.push_back(fmt::format("{}: farewell{}", to, note.complete ? " complete" : ""));
            for (const Instruction& instruction : note.instructions)
                all.push_back(fmt::format("{}: {}", to, text_of(instruction)));
        }
        return all;
    }

    Plan plan_;
    ShardServer server_;
};

using testing::ElementsAre;
using testing::IsEmpty;

TEST(ServiceProtocol, NotesOfRanksArriveAsTheyWereSent)
{
    RankNote note;
    note.wanted = 3;
    note.joined_epoch = 9;
    note.stop = true;
    note.reports = {report_of(5), report_of(6)};
    note.reports[1].compute_s = 1.5F;

    const RankNote read = decode_rank_note(encode(note));

    EXPECT_EQ(read.wanted, 3U);
    EXPECT_EQ(read.joined_epoch, 9U);
    EXPECT_TRUE(read.stop);
    EXPECT_FALSE(read.waiting || read.drained || read.goodbye);
    ASSERT_EQ(read.reports.size(), 2U);
    EXPECT_EQ(index_of(read.reports[0].shard), 5U);
    EXPECT_EQ(read.reports[1].compute_s, 1.5F);
}

TEST(ServiceProtocol, NotesOfTheServerArriveWithTheItemsOfTheirShards)
{
    const Plan plan = plan_of(9);
    const ServerNote note{{RunShard{plan.shard(ShardId{8})}, VerifyShard{plan.shard(ShardId{2})},
                           JoinCheckpoint{7}, Finish{true}},
                          true,
                          false};

    const ServerNote read = decode_server_note(encode(note), plan);

    ASSERT_EQ(read.instructions.size(), 4U);
    EXPECT_EQ(std::get<RunShard>(read.instructions[0]).shard.items, (ItemRange{ItemId{8}, 1}));
    EXPECT_EQ(text_of(read.instructions[1]), "verify 2");
    EXPECT_EQ(text_of(read.instructions[2]), "checkpoint 7");
    EXPECT_EQ(text_of(read.instructions[3]), "interrupted");
    EXPECT_TRUE(read.farewell);
    EXPECT_FALSE(read.complete);
}

TEST(ServiceProtocol, DamagedNotesAreRefusedWhereverTheyAreCut)
{
    const Plan plan = plan_of(9);
    RankNote of_rank = claim(1, true);
    of_rank.reports = {report_of(5)};
    const auto rank_bytes = encode(of_rank);
    const auto server_bytes = encode(ServerNote{{RunShard{plan.shard(ShardId{8})}}});

    for (std::size_t size = 0; size < rank_bytes.size(); ++size)
        EXPECT_THROW(decode_rank_note(std::span(rank_bytes).first(size)), Error) << size;
    for (std::size_t size = 0; size < server_bytes.size(); ++size)
        EXPECT_THROW(decode_server_note(std::span(server_bytes).first(size), plan), Error) << size;
    EXPECT_THROW(decode_rank_note(server_bytes), Error);
    EXPECT_THROW(decode_server_note(server_bytes, plan_of(8)), Error);
    EXPECT_EQ(test::error_text([] { decode_rank_note({}); }),
              "a message between ranks cannot be read (all ranks must run the same build of the "
              "program). Check that every node sees the same executable.");
}

TEST(ShardServer, AnswersClaimsInTheOrderTheyCome)
{
    ReadableServer server(5, 2);

    EXPECT_THAT(server.tell(1, claim(1, true)), ElementsAre("1: run 0"));
    EXPECT_THAT(server.tell(0, claim(1, true)), ElementsAre("0: run 1"));
    EXPECT_THAT(server.tell(0, claim(1, false)), ElementsAre("0: run 2"));
    EXPECT_THAT(server.tell(0, RankNote{}), IsEmpty()) << "an empty note claims nothing";
}

TEST(ShardServer, GivesSeveralShardsAtOnceOnlyWhileTheyAreASmallPart)
{
    ReadableServer server(64, 2);

    EXPECT_EQ(server.tell(0, claim(64, true)).size(), 4U);  // 64 / (8 * 2)
    EXPECT_EQ(server.tell(0, claim(2, true)).size(), 2U);
    EXPECT_EQ(server.tell(0, claim(64, true)).size(), 3U);  // 58 / 16
}

TEST(ShardServer, TheLastShardsGoToRanksThatHaveNothingInHand)
{
    ReadableServer server(3, 3);
    EXPECT_THAT(server.tell(0, claim(1, true)), ElementsAre("0: run 0"));

    EXPECT_THAT(server.tell(0, claim(1, false)), IsEmpty());
    EXPECT_THAT(server.tell(1, claim(1, true)), ElementsAre("1: run 1"));
    EXPECT_THAT(server.tell(0, claim(0, true)), ElementsAre("0: run 2"));
    EXPECT_THAT(server.tell(2, claim(1, true)), ElementsAre("2: finish"));
}

TEST(ShardServer, AnnouncesACheckpointToAllAndTheNextOnlyAfterAllJoined)
{
    QueueOptions options;
    options.checkpoint_interval = 1s;
    options.first_epoch = 4;
    ReadableServer server(100, 2, options);
    const auto joined = [](std::uint32_t epoch) {
        RankNote note;
        note.joined_epoch = epoch;
        return note;
    };

    EXPECT_THAT(server.tick(900ms), IsEmpty());
    EXPECT_THAT(server.tick(1s), ElementsAre("0: checkpoint 4", "1: checkpoint 4"));
    EXPECT_THAT(server.tick(3s), IsEmpty());
    server.tell(0, joined(4), 3s);
    EXPECT_THAT(server.tick(4s), IsEmpty());
    server.tell(1, joined(4), 5s);
    EXPECT_THAT(server.tick(5900ms), IsEmpty());
    EXPECT_THAT(server.tick(6s), ElementsAre("0: checkpoint 5", "1: checkpoint 5"));
}

TEST(ShardServer, DecidesNoCheckpointAfterAnyoneFinished)
{
    QueueOptions options;
    options.checkpoint_interval = 1s;
    ReadableServer server(1, 2, options);
    server.tell(0, claim(1, true));
    EXPECT_THAT(server.tell(1, claim(1, true)), ElementsAre("1: finish"));

    EXPECT_THAT(server.tick(1500ms), IsEmpty());
}

TEST(ShardServer, AStopToldByOneRankFinishesEverybodyOnce)
{
    ReadableServer server(100, 3);
    RankNote stop;
    stop.stop = true;

    EXPECT_THAT(server.tell(2, stop),
                ElementsAre("0: interrupted", "1: interrupted", "2: interrupted"));
    EXPECT_THAT(server.tell(1, stop), IsEmpty());
    EXPECT_THAT(server.tell(0, claim(1, true)), IsEmpty());
}

TEST(ShardServer, SaysFarewellWhenAllHaveDrainedAndKnowsWhetherEverythingWasReported)
{
    for (const bool with_late_report : {true, false}) {
        std::vector<std::uint64_t> absorbed;
        QueueOptions options;
        options.absorb = [&](const ShardReport& report) {
            absorbed.push_back(index_of(report.shard));
        };
        ReadableServer server(1, 2, options);
        server.tell(0, claim(1, true));
        server.tell(0, claim(1, true));
        server.tell(1, claim(1, true));
        RankNote drained;
        drained.drained = true;
        EXPECT_THAT(server.tell(1, drained), IsEmpty());
        if (with_late_report) drained.reports = {report_of(0), report_of(0)};

        const auto last = server.tell(0, drained);

        const std::string verdict = with_late_report ? "farewell complete" : "farewell";
        EXPECT_THAT(last, ElementsAre("0: " + verdict, "1: " + verdict));
        EXPECT_EQ(absorbed.size(), with_late_report ? 1U : 0U);
        EXPECT_THAT(server.tick(1h), IsEmpty());
        RankNote goodbye;
        goodbye.goodbye = true;
        server.tell(0, goodbye);
        EXPECT_FALSE(server.server().everybody_left());
        server.tell(1, goodbye);
        EXPECT_TRUE(server.server().everybody_left());
    }
}

/// A client for which the test plays the server.
class ClientTest : public testing::Test {
protected:
    RankNote sent(Clock::duration since_start, bool stop = false)
    {
        const auto bytes = client.outgoing(stop, start + since_start);
        if (bytes) return decode_rank_note(*bytes);
        ADD_FAILURE() << "nothing was sent";
        return {};
    }
    bool silent(Clock::duration since_start)
    {
        return !client.outgoing(false, start + since_start).has_value();
    }
    void receive(const ServerNote& note) { client.on_message(encode(note)); }
    RunShard run(std::uint64_t id) const { return RunShard{plan.shard(ShardId{id})}; }

    Plan plan = plan_of(100);
    ShardClient client{plan, start};
};

TEST_F(ClientTest, KeepsOneClaimInHandWhileTheMainThreadComputes)
{
    EXPECT_EQ(sent(0s).wanted, 1U);
    EXPECT_TRUE(silent(1s));
    receive({{run(0)}});
    EXPECT_TRUE(silent(1s));

    EXPECT_EQ(text_of(client.take().value()), "run 0");

    EXPECT_EQ(sent(1s).wanted, 1U);
    EXPECT_EQ(client.take(), std::nullopt);
}

TEST_F(ClientTest, AsksForMoreOnlyWhileShardsAreTakenFasterThanLettersTravel)
{
    std::vector<std::uint32_t> wanted;
    std::uint64_t next = 0;
    for (int step = 0; step < 8; ++step) {
        wanted.push_back(sent(step * 100us).wanted);
        ServerNote note;
        for (std::uint32_t i = 0; i < wanted.back(); ++i)
            note.instructions.push_back(run(next++ % 100));
        receive(note);
        while (client.take()) continue;
    }
    const std::uint32_t after_a_pause = sent(1s).wanted;

    EXPECT_THAT(wanted, ElementsAre(1, 2, 4, 8, 16, 32, 64, 64));
    EXPECT_EQ(after_a_pause, 1U);
}

TEST_F(ClientTest, TellsThatItWaitsWhenTheClaimAheadIsHeldBack)
{
    sent(1s);
    receive({{run(0)}});
    client.take();
    EXPECT_FALSE(sent(1s).waiting);
    client.wait(start + 2s);

    EXPECT_TRUE(silent(2s));
    const RankNote note = sent(2s + 200us);

    EXPECT_TRUE(note.waiting);
    EXPECT_EQ(note.wanted, 0U);
    EXPECT_TRUE(silent(2s + 300us));
}

TEST_F(ClientTest, CheckpointsComeBeforeShardsInHandAndAreToldWhenTaken)
{
    sent(0s);
    receive({{run(0)}});
    receive({{JoinCheckpoint{4}}});
    EXPECT_TRUE(silent(1s));

    EXPECT_EQ(text_of(client.take().value()), "checkpoint 4");

    EXPECT_EQ(sent(1s).joined_epoch, 4U);
    EXPECT_EQ(text_of(client.take().value()), "run 0");
}

TEST_F(ClientTest, AnInterruptedFinishDropsShardsInHandButNoCheckpoint)
{
    sent(0s);
    receive({{run(0)}});
    receive({{JoinCheckpoint{4}}});
    receive({{Finish{true}}});

    EXPECT_EQ(text_of(client.take().value()), "checkpoint 4");
    EXPECT_EQ(text_of(client.take().value()), "interrupted");
}

TEST_F(ClientTest, ASignalIsToldAtOnceAndOnce)
{
    sent(0s);

    EXPECT_TRUE(sent(1ms, true).stop);
    EXPECT_EQ(client.outgoing(true, start + 2ms), std::nullopt);
}

TEST_F(ClientTest, ReportsWaitForALetterToRideOnButNotForLong)
{
    sent(0s);
    client.report(report_of(7));

    EXPECT_TRUE(silent(1900ms));
    const RankNote late = sent(2s);

    ASSERT_EQ(late.reports.size(), 1U);
    EXPECT_EQ(index_of(late.reports[0].shard), 7U);
    EXPECT_TRUE(silent(4s));
}

TEST_F(ClientTest, DrainsThenAnswersTheFarewellWithGoodbyeAndIsSilent)
{
    sent(0s);
    receive({{Finish{false}}});
    client.report(report_of(7));
    client.drain();

    const RankNote last = sent(1ms);
    EXPECT_TRUE(last.drained);
    EXPECT_EQ(last.reports.size(), 1U);
    EXPECT_FALSE(client.said_goodbye());
    receive({{}, true, true});
    EXPECT_TRUE(sent(2ms).goodbye);

    EXPECT_TRUE(client.said_goodbye());
    EXPECT_TRUE(client.complete());
    EXPECT_TRUE(silent(1h));
}

}  // namespace
}  // namespace twinscreen
