#include "engine/run/telemetry.hpp"

#include <cerrno>
#include <chrono>
#include <cstring>

#include <nlohmann/json.hpp>

#include "engine/base/log.hpp"

namespace twinscreen {

double seconds_since_1970()
{
    return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch())
        .count();
}

namespace {

/// A full disk or a lost node may have cut the last line, and what follows would become part of it.
std::filesystem::path without_torn_line(std::filesystem::path path)
{
    constexpr std::uintmax_t longest_line = 4096;
    std::error_code failure;
    const std::uintmax_t size = std::filesystem::file_size(path, failure);
    if (failure || size == 0) return path;
    const std::uintmax_t first = size > longest_line ? size - longest_line : 0;
    std::string tail(static_cast<std::size_t>(size - first), '\0');
    std::ifstream stream(path, std::ios::binary);
    stream.seekg(static_cast<std::streamoff>(first));
    stream.read(tail.data(), static_cast<std::streamsize>(tail.size()));
    const std::size_t line_end = tail.rfind('\n');
    const std::uintmax_t kept = line_end == std::string::npos ? first : first + line_end + 1;
    if (stream.good() && kept < size) std::filesystem::resize_file(path, kept, failure);
    return path;
}

}  // namespace

Telemetry::Telemetry(const std::filesystem::path& folder)
    : path_(folder / "telemetry.jsonl"), file_(without_torn_line(path_), std::ios::app)
{
}

void Telemetry::write(const nlohmann::json& event)
{
    file_ << event << std::endl;  // a killed job leaves complete lines
    if (file_.good() || has_failed_) return;
    has_failed_ = true;
    spdlog::warn("{} cannot be written ({}); the run goes on, the rest of it is not recorded there",
                 path_.string(), std::strerror(errno));
}

void Telemetry::started(const std::string& stage, int ranks, std::uint64_t shards,
                        std::uint64_t sealed)
{
    write({{"event", "started"},
           {"stage", stage},
           {"time", seconds_since_1970()},
           {"ranks", ranks},
           {"shards", shards},
           {"sealed", sealed}});
}

void Telemetry::shard(const std::string& stage, const ShardReport& report)
{
    const char* how = report.verified != 0     ? "verified"
                      : report.recomputed != 0 ? "recomputed"
                                               : "sealed";
    write({{"event", how},
           {"stage", stage},
           {"shard", index_of(report.shard)},
           {"rank", report.rank},
           {"items", report.items},
           {"fill_s", report.fill_s},
           {"compute_s", report.compute_s},
           {"write_s", report.write_s},
           {"wait_fill_s", report.wait_fill_s},
           {"wait_write_s", report.wait_write_s},
           {"finished_s", report.finished_s}});
}

void Telemetry::compared(const std::string& stage, const std::string& precision,
                         const ArithmeticError& error)
{
    write({{"event", "compared"},
           {"stage", stage},
           {"precision", precision},
           {"batches", error.batches()},
           {"difference_of_spread", error.of_spread()},
           {"largest_of_spread", error.largest()},
           {"overflowed", error.overflowed()}});
}

void Telemetry::ended(const std::string& stage, const std::string& how, double seconds)
{
    write({{"event", how}, {"stage", stage}, {"time", seconds_since_1970()}, {"seconds", seconds}});
}

}  // namespace twinscreen
