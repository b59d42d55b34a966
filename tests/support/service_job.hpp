#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "engine/schedule/shard_client.hpp"
#include "engine/schedule/shard_server.hpp"

namespace twinscreen::test {

/// What may happen in a job, and how often: the bounds of an exploration.
struct JobBounds {
    int ranks = 1;
    std::uint64_t shards = 0;
    std::uint64_t suspects = 0;  ///< the first shards are to be verified; each may be found torn
    int checkpoints = 0;         ///< announced at any moment, so often at most
    int signals = 0;             ///< of a stop, to so many of the ranks, at any moment
    int pauses = 0;              ///< of every rank before it speaks, so long that reports are due
    std::size_t claimed_ahead = 1;  ///< shards that a main thread holds beside the one it computes

    std::string text() const;
};

/// A promise of the service queue that was not kept.
struct BrokenPromise : std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// One thing that happens next.
struct JobStep {
    enum class Kind : std::uint8_t {
        speak_soon,     ///< the messenger of a rank sends what is due; the last claim was short
        speak_later,    ///< the same; it was long, or counts as held back
        speak_at_last,  ///< the same, when reports have waited for long
        deliver_to_server,
        deliver_to_rank,
        ask_next,      ///< the main thread takes an instruction or begins to wait for one
        claim_ahead,   ///< the main thread, while it computes
        finish_shard,  ///< computed and given to the writer, or found sound
        find_torn,
        drop_shard,  ///< after a stop
        signal,      ///< a stop
        announce_checkpoint,
    };
    Kind kind{};
    int rank = 0;
    std::size_t written = 0;  ///< before a rank speaks, its writer seals and reports so many

    std::string text() const;
};

/// A job of the service queue as a value: the production server and clients, the letters under way,
/// and on every rank a main thread and a writer that behave like Worker and the sink.
///
/// As in production rank 0 talks to its server without letters, letters between two ranks keep
/// their order, a claim counts as short or held back by the clock of its rank, and a checkpoint is
/// collective: it begins on a rank when its writer has nothing left, and ends when all are in it.
class ServiceJob {
public:
    explicit ServiceJob(const JobBounds& bounds);

    /// All that may happen now, some of which changes nothing.
    std::vector<JobStep> steps() const;
    /// False if nothing was changed. Throws BrokenPromise.
    bool take(const JobStep& step);
    /// To be asked when no step is left. Throws BrokenPromise unless everything has ended well.
    void expect_good_end() const;
    /// Equal for jobs with the same future.
    std::uint64_t fingerprint() const;

private:
    struct Letter {
        std::vector<std::byte> bytes;
        std::uint64_t digest = 0;  // of what it says: the bytes of a report have gaps
    };
    using Letters = std::deque<std::shared_ptr<const Letter>>;
    enum class Main : std::uint8_t { idle, computing, verifying, in_collective, drained };
    struct Collective {
        std::uint32_t epoch = 0;
        bool last = false;
        friend bool operator==(const Collective&, const Collective&) = default;
    };
    struct Rank {
        explicit Rank(ShardClient a_client) : client(std::move(a_client)) {}

        ShardClient client;
        ShardClient::Clock::time_point now;
        Letters to_server;
        Letters from_server;
        Main main = Main::idle;
        std::uint64_t shard = 0;               // being computed or verified
        std::vector<Instruction> mine;         // claimed ahead
        std::vector<std::uint64_t> unwritten;  // by the writer
        std::vector<Collective> collectives;   // entered, in this order
        std::uint32_t last_epoch = 0;
        int joined = 0;  // checkpoints taken
        int pauses = 0;
        bool signalled = false;
        bool waits = false;  // for the next instruction
    };

    Rank& at(int rank) { return ranks_[static_cast<std::size_t>(rank)]; }
    const Rank& at(int rank) const { return ranks_[static_cast<std::size_t>(rank)]; }
    void add_steps_of(int rank, std::vector<JobStep>& steps) const;
    bool may_claim_ahead(const Rank& rank) const;

    bool speak(const JobStep& step, ShardClient::Clock::duration age);
    void tell_server(int from, std::span<const std::byte> note);
    void send(const std::vector<ShardServer::Reply>& replies);
    void note_given(const Instruction& instruction);
    void hand_over(Rank& rank, std::span<const std::byte> note);
    bool announce_checkpoint();

    bool ask_next(Rank& rank);
    bool claim_ahead(Rank& rank);
    bool take_instruction(Rank& rank);
    void keep(Rank& rank, const Instruction& instruction);
    void begin_next(Rank& rank);
    void start(Rank& rank, ShardId shard, Main how);
    void finish_shard(Rank& rank);
    void write(Rank& rank, std::size_t count);
    void report(Rank& rank, std::uint64_t shard);
    void enter_collective(Rank& rank, Collective collective);
    void leave_collectives();

    const JobBounds* bounds_;
    std::shared_ptr<std::vector<ShardReport>> absorbed_now_;  // shared by copies, emptied at once
    std::shared_ptr<const Plan> plan_;
    ShardServer server_;
    ShardServer::Clock::time_point server_now_;
    std::vector<Rank> ranks_;
    std::vector<std::uint8_t> given_;
    std::vector<std::uint8_t> started_;
    std::vector<std::uint8_t> reported_;
    std::vector<std::uint8_t> absorbed_;
    int checkpoints_ = 0;
    int signals_ = 0;
    bool stop_is_known_ = false;  // to the server
};

}  // namespace twinscreen::test
