#include "engine/run/progress.hpp"

#include <algorithm>
#include <cstdio>
#include <unistd.h>

namespace twinscreen {

Progress::Progress(std::uint64_t shards_total, std::uint64_t already_sealed,
                   std::uint64_t items_left, int ranks, Clock::time_point start)
    : shards_total_(shards_total),
      shards_done_(already_sealed),
      items_left_(items_left),
      ranks_(static_cast<std::size_t>(ranks)),
      start_(start)
{
}

void Progress::absorb(const ShardReport& report)
{
    ++shards_done_;
    if (report.verified != 0) return;  // found good on resume: nothing was computed
    items_done_ += report.items;
    wait_fill_s_ += static_cast<double>(report.wait_fill_s);
    compute_s_ += static_cast<double>(report.compute_s);
    wait_write_s_ += static_cast<double>(report.wait_write_s);
    RankTotals& rank = ranks_.at(static_cast<std::size_t>(report.rank));
    rank.items += report.items;
    rank.busy_s += static_cast<double>(report.compute_s + report.wait_fill_s + report.wait_write_s);
}

ProgressSnapshot Progress::snapshot(Clock::time_point now) const
{
    ProgressSnapshot result;
    result.shards_done = shards_done_;
    result.shards_total = shards_total_;
    result.items_done = items_done_;
    const double elapsed = std::chrono::duration<double>(now - start_).count();
    if (elapsed > 0.0) result.items_per_second = static_cast<double>(items_done_) / elapsed;
    const std::uint64_t left = items_left_ - std::min(items_left_, items_done_);
    if (result.items_per_second > 0.0)
        result.seconds_left = static_cast<double>(left) / result.items_per_second;
    const double busy = wait_fill_s_ + compute_s_ + wait_write_s_;
    if (busy > 0.0) {
        result.wait_fill_share = wait_fill_s_ / busy;
        result.compute_share = compute_s_ / busy;
        result.wait_write_share = wait_write_s_ / busy;
        double most = 0.0;
        double lowest_rate = -1.0;
        for (std::size_t rank = 0; rank < ranks_.size(); ++rank) {
            most = std::max(most, ranks_[rank].busy_s);
            if (ranks_[rank].busy_s <= 0.0) continue;
            const double rate = static_cast<double>(ranks_[rank].items) / ranks_[rank].busy_s;
            if (lowest_rate >= 0.0 && rate >= lowest_rate) continue;
            lowest_rate = rate;
            result.slowest_rank = static_cast<int>(rank);
        }
        result.balance = most * static_cast<double>(ranks_.size()) / busy;
    }
    return result;
}

std::string duration_text(double seconds)
{
    if (seconds < 10.0) return fmt::format("{:.1f} s", seconds);
    const auto whole = static_cast<std::uint64_t>(seconds + 0.5);
    if (whole < 60) return fmt::format("{} s", whole);
    if (whole < 3600) return fmt::format("{} min {:02} s", whole / 60, whole % 60);
    return fmt::format("{} h {:02} min", whole / 3600, whole % 3600 / 60);
}

std::string count_text(std::uint64_t count)
{
    if (count < 1000) return std::to_string(count);
    return fmt::format("{},{:03}", count_text(count / 1000), count % 1000);
}

std::string bytes_text(double bytes)
{
    constexpr const char* units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
    std::size_t unit = 0;
    while (bytes >= 1024.0 && unit + 1 < std::size(units)) {
        bytes /= 1024.0;
        ++unit;
    }
    return unit == 0 ? fmt::format("{:.0f} B", bytes)
                     : fmt::format("{:.1f} {}", bytes, units[unit]);
}

std::string progress_line(const ProgressSnapshot& now, const std::string& items_are)
{
    const double share = now.shards_total == 0 ? 1.0
                                               : static_cast<double>(now.shards_done) /
                                                     static_cast<double>(now.shards_total);
    return fmt::format(
        "shard {} of {} ({:.0f} %), {} {}/s, {} left; computing {:.0f} %, waiting for input "
        "{:.0f} %, for the writer {:.0f} %",
        count_text(now.shards_done), count_text(now.shards_total), 100.0 * share,
        now.items_per_second < 100.0 ? fmt::format("{:.1f}", now.items_per_second)
                                     : count_text(static_cast<std::uint64_t>(now.items_per_second)),
        items_are, duration_text(now.seconds_left), 100.0 * now.compute_share,
        100.0 * now.wait_fill_share, 100.0 * now.wait_write_share);
}

ProgressDisplay::ProgressDisplay(std::string items_are)
    : items_are_(std::move(items_are)),
      terminal_(isatty(STDERR_FILENO) == 1),
      last_(Progress::Clock::now())
{
    if (terminal_) interval_ = std::chrono::milliseconds(200);
}

ProgressDisplay::~ProgressDisplay()
{
    if (line_open_) std::fputc('\n', stderr);
}

void ProgressDisplay::show(const ProgressSnapshot& now, Progress::Clock::time_point at)
{
    const bool last = now.shards_done == now.shards_total;
    if (at - last_ < interval_ && !(terminal_ && last)) return;
    last_ = at;
    if (terminal_) {
        std::fprintf(stderr, "\r\033[K%s", progress_line(now, items_are_).c_str());
        line_open_ = true;
    } else {
        std::fprintf(stderr, "%s\n", progress_line(now, items_are_).c_str());
        interval_ = std::min(interval_ * 2, std::chrono::milliseconds(60'000));
    }
    std::fflush(stderr);
}

}  // namespace twinscreen
