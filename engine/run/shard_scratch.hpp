#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "engine/base/types.hpp"

namespace twinscreen {

/// Where and how often the unfinished shards of one stage save their states, on one rank. Nothing
/// that is stored depends on it.
struct StageScratch {
    using Clock = std::chrono::steady_clock;

    std::filesystem::path folder;  ///< DIR/scratch/<stage>; made by the first save
    std::string owner;  ///< digest of all that states depend on: those of other owners are ignored
    double seconds = 30.0;  ///< between two saves of a shard; 0: save at every call [s]
    const std::atomic<bool>* stop = nullptr;  ///< the job was asked to stop
    std::function<Clock::time_point()> now = &Clock::now;
    bool has_warned = false;  ///< that states cannot be saved

    /// DIR/scratch/<stage>/<shard>.state
    std::filesystem::path file_of(ShardId shard) const;
};

/// The saved state of one unfinished shard, for shards of minutes to hours: after a kill or a stop,
/// on any number of ranks, such a shard goes on from its last state instead of its beginning.
///
///     Chain chain = Chain::from(tools.scratch.load());      // empty: the beginning
///     while (!chain.is_over()) {
///         chain.step();
///         tools.scratch.save_if_due([&] { return chain.bytes(); });
///     }
///
/// A state must hold everything that later steps depend on, so that the shard ends with the same
/// bits wherever it was interrupted. One thread.
class ShardScratch {
public:
    using State = std::function<std::vector<std::byte>()>;
    static constexpr std::size_t largest_state = std::size_t{1} << 30U;  ///< [bytes]

    /// `stage` outlives it.
    ShardScratch(StageScratch& stage, ShardId shard);

    /// The state saved last, by whatever rank; empty where there is none. One that is damaged, or
    /// was left by another campaign, program version or machine, counts as none and is warned of.
    std::vector<std::byte> load();
    /// To be called after every step, which should take seconds at most. Calls and saves `state` if
    /// a save is due. Where the job was asked to stop it always does, and throws StopRequested:
    /// nothing is lost. A state that cannot be saved (a full disk) is warned of once; the run goes
    /// on.
    void save_if_due(const State& state);

    /// What to remove once the shard is sealed; empty where there is nothing.
    std::filesystem::path leftover() const { return has_file_ ? file_ : std::filesystem::path{}; }

private:
    void save(std::span<const std::byte> state);

    StageScratch& stage_;
    std::uint64_t shard_;
    std::filesystem::path file_;
    std::string owner_;
    StageScratch::Clock::time_point saved_;
    bool has_file_ = false;
};

/// Removes all states of a stage, DIR/scratch/<stage>, and DIR/scratch after the last stage; leaves
/// files that are not ours alone.
void remove_scratch(const std::filesystem::path& stage_folder) noexcept;

}  // namespace twinscreen
