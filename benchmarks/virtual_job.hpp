#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

#include "engine/schedule/plan.hpp"
#include "engine/schedule/shard_queue.hpp"

namespace twinscreen::bench {

/// What letters between ranks cost.
struct LetterModel {
    std::chrono::nanoseconds within_node{5'000};     ///< each way
    std::chrono::nanoseconds between_nodes{20'000};  ///< each way
    int ranks_per_node = 64;
    /// Of the server, for a letter that it reads together with its answer, and for each further
    /// letter that it sends. One after the other.
    std::chrono::nanoseconds service{430};
};

/// A rank dies; the others end when they have heard nothing of it for a while.
struct Death {
    int rank = 0;
    double after_s = 0.0;
    double silence_s = 20.0;
};

struct JobModel {
    LetterModel letters;
    std::vector<double> slowness;  ///< [ranks] time that a shard takes over its cost
    std::chrono::milliseconds checkpoint_interval{600'000};
    double checkpoint_s = 1.0;   ///< the collective, once all ranks are in it
    double verify_share = 0.02;  ///< of the cost of a shard, to verify it on resume
    std::optional<Death> death;
};

struct JobOutcome {
    double computed_s = 0.0;    ///< from the start to the end of the last shard, or of the job
    double left_s = 0.0;        ///< to the last goodbye: with the closing checkpoint
    int checkpoints = 0;        ///< by time
    double waited_s = 0.0;      ///< in these, mean of the ranks
    std::uint64_t letters = 0;  ///< that the server read
    std::uint64_t busiest_second = 0;  ///< the most letters in one second
    double server_s = 0.0;             ///< modelled time in which the server was busy
    double server_cpu_s = 0.0;         ///< real time spent in the code of the server
    OpenWork left;                     ///< after a death: what the next job starts with
};

/// A job of the service queue under a virtual clock: the production server and clients; letters,
/// main threads and messengers are modelled. A main thread does what Worker does and holds one
/// shard claimed ahead. Messengers sleep as in production, and each one notices what there is as
/// late as its sleep allows: its own rank after 1 ms, letters by the rule of the MPI mailbox.
///
/// costs  [shards]  [s]
///
/// One process. Throws Error(internal) if a job without a death leaves shards behind.
JobOutcome run_virtual_job(const JobModel& model, const Plan& plan,
                           const std::vector<double>& costs, const OpenWork& work);

}  // namespace twinscreen::bench
