#pragma once

#include <cstdint>

#include "kernels/set_columns.hpp"
#include "kernels/set_draw.hpp"

namespace twinscreen {

// Bodies of evolution.hpp, and the views that they take.

/// Whose draws.
struct ChainDraws {
    std::uint64_t seed = 0;
    std::uint32_t chain = 0;
    std::uint32_t items = 0;
};

/// New random sets of consecutive generations, numbered through.
struct RandomSets {
    std::uint32_t generation = 0;  ///< the first one
    std::int64_t of_generation = 0;
    std::int64_t first = 0;
};

/// All sets of a generation: parents, then mutants, then new random sets.
struct Pool {
    SetColumns parents;
    SetColumns mutants;
    SetColumns random;
    SetCosts chosen;     ///< [parents + mutants]
    SetCosts at_random;  ///< [random]

    TWINSCREEN_FUNCTION std::int64_t count() const noexcept
    {
        return parents.count + mutants.count + random.count;
    }
    TWINSCREEN_FUNCTION std::int64_t chosen_count() const noexcept
    {
        return parents.count + mutants.count;
    }
    TWINSCREEN_FUNCTION double cost(std::int64_t member) const noexcept
    {
        const std::int64_t rest = member - chosen_count();
        return rest < 0 ? chosen.costs[member] : at_random.costs[rest];
    }
    TWINSCREEN_FUNCTION double score(std::int64_t member) const noexcept
    {
        const std::int64_t rest = member - chosen_count();
        return rest < 0 ? chosen.scores[member] : at_random.scores[rest];
    }
    TWINSCREEN_FUNCTION Apart<std::uint32_t> ids(std::int64_t member) const noexcept
    {
        if (member < parents.count) return parents.set(member);
        const std::int64_t rest = member - chosen_count();
        return rest < 0 ? mutants.set(member - parents.count) : random.set(rest);
    }
};

/// The next parents, best first, and what is written down about them.
struct Survivors {
    SetColumns sets;
    SetCosts reached;                   ///< [parents]
    std::uint32_t* best_ids = nullptr;  ///< [set_size]
    double* best_score = nullptr;       ///< one
    double* worst_cost = nullptr;       ///< one; infinite: there are too few sets with a score
};

struct DrawRandomSets {
    ChainDraws draws;
    RandomSets which;
    SetColumns sets;
    std::uint32_t* scratch;  // [2 set_size, sets]

    TWINSCREEN_FUNCTION void operator()(std::int64_t at) const
    {
        const std::int64_t number = which.first + at;
        const auto generation = static_cast<std::uint32_t>(number / which.of_generation);
        const auto member = static_cast<std::uint32_t>(number % which.of_generation);
        DrawWords words(set_address(draws.seed, DrawStream::population, draws.chain,
                                    which.generation + generation, member));
        draw_set(words, draws.items, sets.set_size, sets.set(at),
                 Apart<std::uint32_t>{scratch + at, sets.count});
    }
};

struct DrawMutants {
    ChainDraws draws;
    std::uint32_t generation;
    SetColumns parents;
    const std::uint32_t* sizes;  // [size_count] ids exchanged
    std::int64_t size_count;
    SetColumns mutants;      // [parents, size_count]
    std::uint32_t* scratch;  // [3 set_size, mutants]

    /// Neighbours exchange as many ids.
    TWINSCREEN_FUNCTION void operator()(std::int64_t index) const
    {
        const std::int64_t parent = index % parents.count;
        const std::int64_t size = index / parents.count;
        const std::int64_t member = parent * size_count + size;
        DrawWords words(set_address(draws.seed, DrawStream::mutation, draws.chain, generation,
                                    static_cast<std::uint32_t>(member)));
        draw_mutant(words, draws.items, parents.set(parent), parents.set_size, sizes[size],
                    mutants.set(member), Apart<std::uint32_t>{scratch + index, mutants.count});
    }
};

/// A pool is compared in this many parts at the same time.
inline constexpr std::int64_t rank_parts = 16;

/// How many sets of one part of the pool come before a set: smaller in cost, or of the same cost
/// and earlier in the pool.
struct CountBefore {
    Pool pool;
    bool is_sorted;         // parents come best first
    std::uint32_t* before;  // [rank_parts, pool]

    TWINSCREEN_FUNCTION void operator()(std::int64_t index) const
    {
        const std::int64_t sets = pool.count();
        const std::int64_t member = index % sets;
        const std::int64_t part = index / sets;
        const double cost = pool.cost(member);
        if (cannot_survive(member, cost)) {
            before[index] = static_cast<std::uint32_t>(pool.parents.count);
            return;
        }
        std::uint32_t count = 0;
        const std::int64_t end = (part + 1) * sets / rank_parts;
        for (std::int64_t other = part * sets / rank_parts; other < end; ++other) {
            const double its = pool.cost(other);
            count += its < cost || (its == cost && other < member) ? 1U : 0U;
        }
        before[index] = count;
    }

private:
    /// All parents come before it.
    TWINSCREEN_FUNCTION bool cannot_survive(std::int64_t member, double cost) const
    {
        return is_sorted && member >= pool.parents.count &&
               !(cost < pool.chosen.costs[pool.parents.count - 1]);
    }
};

struct PlaceSurvivors {
    Pool pool;
    const std::uint32_t* before;  // [rank_parts, pool]
    std::uint32_t* members;       // [parents]
    Survivors survivors;

    TWINSCREEN_FUNCTION void operator()(std::int64_t member) const
    {
        std::int64_t place = 0;
        for (std::int64_t part = 0; part < rank_parts; ++part)
            place += before[part * pool.count() + member];
        const std::int64_t last = pool.parents.count - 1;
        if (place > last) return;
        members[place] = static_cast<std::uint32_t>(member);
        survivors.reached.costs[place] = pool.cost(member);
        survivors.reached.scores[place] = pool.score(member);
        if (place == 0) *survivors.best_score = pool.score(member);
        if (place == last) *survivors.worst_cost = pool.cost(member);
    }
};

struct CopySurvivors {
    Pool pool;
    const std::uint32_t* members;  // [parents]
    Survivors survivors;

    TWINSCREEN_FUNCTION void operator()(std::int64_t index) const
    {
        const std::int64_t place = index % pool.parents.count;
        const auto position = static_cast<std::uint32_t>(index / pool.parents.count);
        const std::uint32_t id = pool.ids(members[place])[position];
        survivors.sets.set(place)[position] = id;
        if (place == 0) survivors.best_ids[position] = id;
    }
};

}  // namespace twinscreen
