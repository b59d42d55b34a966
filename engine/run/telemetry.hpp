#pragma once

#include <filesystem>
#include <fstream>
#include <string>

#include <nlohmann/json_fwd.hpp>

#include "engine/run/arithmetic_error.hpp"
#include "engine/schedule/shard_queue.hpp"

namespace twinscreen {

/// By the clock of this machine.
double seconds_since_1970();

/// telemetry.jsonl: one JSON object per event, appended over all attempts. Rank 0 only; monitoring,
/// not part of the results.
class Telemetry {
public:
    explicit Telemetry(const std::filesystem::path& folder);
    void started(const std::string& stage, int ranks, std::uint64_t shards, std::uint64_t sealed);
    void shard(const std::string& stage, const ShardReport& report);
    void compared(const std::string& stage, const std::string& precision,
                  const ArithmeticError& error);
    void ended(const std::string& stage, const std::string& how, double seconds);

private:
    /// Says once that the file cannot be written; nothing else depends on it.
    void write(const nlohmann::json& event);

    std::filesystem::path path_;
    std::ofstream file_;
    bool has_failed_ = false;
};

}  // namespace twinscreen
