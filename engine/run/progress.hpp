#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "engine/schedule/shard_queue.hpp"

namespace twinscreen {

struct ProgressSnapshot {
    std::uint64_t shards_done = 0;
    std::uint64_t shards_total = 0;
    std::uint64_t items_done = 0;  ///< by this run, without what was found sealed
    double items_per_second = 0.0;
    double seconds_left = 0.0;
    double wait_fill_share = 0.0;  ///< of the computing threads' time
    double compute_share = 0.0;
    double wait_write_share = 0.0;
    int slowest_rank = 0;  ///< lowest rate of items per busy second
    double balance = 1.0;  ///< busiest rank / mean
};

/// What rank 0 knows from the shard reports. Pure: tests pass their own clock.
class Progress {
public:
    using Clock = std::chrono::steady_clock;

    Progress(std::uint64_t shards_total, std::uint64_t already_sealed, std::uint64_t items_left,
             int ranks, Clock::time_point start);
    void absorb(const ShardReport& report);
    ProgressSnapshot snapshot(Clock::time_point now) const;

private:
    struct RankTotals {
        double busy_s = 0.0;
        std::uint64_t items = 0;
    };
    std::uint64_t shards_total_;
    std::uint64_t shards_done_;
    std::uint64_t items_left_;
    std::uint64_t items_done_ = 0;
    double wait_fill_s_ = 0.0;
    double compute_s_ = 0.0;
    double wait_write_s_ = 0.0;
    std::vector<RankTotals> ranks_;
    Clock::time_point start_;
};

/// "shard 118 of 1024 (11 %), 3,512 stimuli/s, 4 min 10 s left; computing 93 %, ..."
std::string progress_line(const ProgressSnapshot& now, const std::string& items_are);
/// "1 h 02 min", "4 min 10 s", "12 s", "0.3 s"
std::string duration_text(double seconds);
/// "1,234,567"
std::string count_text(std::uint64_t count);
/// "1.2 GiB"
std::string bytes_text(double bytes);

/// Shows progress on stderr: one rewritten line on a terminal, else a line at growing intervals
/// (2 s at first, one minute at last), as a log file wants it.
class ProgressDisplay {
public:
    explicit ProgressDisplay(std::string items_are);
    ~ProgressDisplay();
    void show(const ProgressSnapshot& now, Progress::Clock::time_point at);

private:
    std::string items_are_;
    bool terminal_;
    bool line_open_ = false;
    Progress::Clock::time_point last_;
    std::chrono::milliseconds interval_{2000};
};

}  // namespace twinscreen
