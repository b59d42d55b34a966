#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "experiments/relational_control/search/device_memory.hpp"
#include "experiments/relational_control/search/device_pairs.hpp"
#include "experiments/relational_control/search/search_parts.hpp"
#include "kernels/evolution.hpp"

namespace twinscreen {

/// The generations of a genetic search where an executor works. The host waits once for many of
/// them.
class DeviceEvolution {
public:
    /// The best set of a generation.
    struct Best {
        std::span<const std::uint32_t> ids;
        double score = 0.0;
        double worst_cost = 0.0;  ///< of the survivors; infinite: too few sets have a score
    };

    /// pairs  must outlive it
    DeviceEvolution(const SearchSettings& settings, std::uint32_t items, DevicePairs& pairs);

    /// The parents of a generation, from which the next look goes on; best first, but for those of
    /// generation 0.
    void begin(const ScoredSets& parents, std::uint32_t generation);
    /// Generations in one look beyond which the time of each hardly falls.
    std::uint32_t generations_at_once() const noexcept { return at_once_; }
    /// Looks at `count` more generations, at most as many as pay, and waits for the results.
    void look(std::uint32_t count);
    /// Generations of the last look.
    std::uint32_t looked_at() const noexcept { return count_; }
    /// What came first in generation `at` of the last look; valid until the next one.
    Best best(std::uint32_t at) const;
    /// The parents behind `count` generations of the last look. Goes through them again.
    ScoredSets parents_after(std::uint32_t count);

private:
    /// Parents and, behind them in scores and costs, mutants.
    struct Generation {
        DeviceValues<std::uint32_t> ids;  // [set_size, parents]
        DeviceValues<double> scores;      // [parents + mutants]
        DeviceValues<double> costs;
        SetCosts reached() const noexcept { return {scores.data(), costs.data()}; }
    };
    /// What is told of each generation of a look.
    struct Trace {
        DeviceValues<std::uint32_t> best_ids;  // [generations, set_size]
        DeviceValues<double> best_scores;
        DeviceValues<double> worst_costs;
    };

    Generation make_generation(ExecutorMemory::Place place) const;
    Trace make_trace(ExecutorMemory::Place place) const;
    void score_random_sets();
    void copy_parents(const Generation& from, const Generation& to) const;
    /// Generations first ... end - 1 of a look, from the current parents.
    void evolve(std::uint32_t first, std::uint32_t end);
    void evolve_one(std::uint32_t at);
    SetColumns parents(const Generation& of) const;
    ScoredSets downloaded() const;

    SearchSettings settings_;
    DevicePairs& pairs_;
    Executor& executor_;
    ChainDraws draws_;
    std::int64_t parents_;
    std::int64_t mutants_;
    std::int64_t random_;  // of a generation
    bool aligns_;
    std::uint32_t at_once_;
    std::uint32_t generation_ = 0;  // before the look
    std::uint32_t count_ = 0;

    DeviceValues<std::uint32_t> sizes_;
    Generation start_;    // of the look
    Generation current_;  // behind what was looked at
    Generation next_;
    Generation on_host_;                      // pinned
    DeviceValues<std::uint32_t> mutant_ids_;  // [set_size, mutants]
    DeviceValues<std::uint32_t> random_ids_;  // [set_size, generations, random]
    DeviceValues<double> random_scores_;      // [generations, random]
    DeviceValues<double> random_costs_;
    DeviceValues<std::uint32_t> scratch_;
    DeviceValues<std::uint32_t> before_;
    DeviceValues<std::uint32_t> members_;
    Trace trace_;
    Trace told_;  // pinned
};

}  // namespace twinscreen
