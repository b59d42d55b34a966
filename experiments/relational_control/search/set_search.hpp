#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "experiments/relational_control/search/pair_similarity.hpp"

namespace twinscreen {

class DevicePairs;

/// What a search makes of the agreement (RSA) of two areas about a set.
enum class Objective : std::uint32_t {
    align = 1,        ///< the largest agreement
    disentangle = 2,  ///< the smallest absolute agreement
};

enum class SearchMethod : std::uint32_t {
    genetic = 1,    ///< of Gifford, Jastrzebowska, Singer & Cichy (2024)
    greedy = 2,     ///< takes every single exchange that improves the set
    exchange = 3,   ///< takes the best of a block of single exchanges, if it improves the set
    annealing = 4,  ///< simulated annealing over single exchanges (Kirkpatrick et al. 1983)
};

struct SearchSettings {
    SearchMethod method = SearchMethod::genetic;
    Objective objective = Objective::align;
    std::uint64_t seed = 20'200'220;
    /// Which of several searches of one seed this is. The first sets are those of chain 0 in all.
    std::uint32_t chain = 0;
    std::uint32_t set_size = 50;       ///< 3..largest_set
    std::uint32_t population = 200;    ///< sets that survive a generation, 1..100,000
    std::uint32_t generations = 2000;  ///< how many are planned; only sets how far to draw ahead
    /// Ids exchanged in each mutant of a parent: 1, and these shares of set_size, rounded to the
    /// nearest number, ties to even. In (0, 1].
    std::vector<double> mutated_shares{0.10, 0.25, 0.50, 0.75};
    /// Single exchanges of which the best is taken (exchange). 1..100,000
    std::uint32_t block = 220;
    /// Of annealing: an exchange that is worse by d is taken with probability exp(-d / T). The
    /// temperature [RSA] falls from the first generation by a factor from one to the next.
    double start_temperature = 0.01;  ///< >= 0
    double cooling = 0.99;            ///< in (0, 1]
    /// Disentangling ends when the absolute agreement is below this; 0: never.
    double stop_below = 0.0;
};

/// Numbers of ids exchanged in the mutants of one parent.
std::vector<std::uint32_t> mutation_sizes(std::uint32_t set_size, std::span<const double> shares);

/// Fewest items that a search can choose from: a set, and what is exchanged with it at once.
std::uint32_t least_items(const SearchSettings& settings);

/// Most different mutants of one parent.
inline constexpr std::size_t most_mutants = 32;
/// Fewer new sets than this in one generation: bits of an address.
inline constexpr std::uint64_t most_new_sets = std::uint64_t{1} << 22U;
/// New sets that one generation looks at.
std::uint64_t sets_per_generation(const SearchSettings& settings);

/// One chain of a search for a set of items about which two areas agree most, or least. Every
/// method looks at the same number of new sets in a step, and all begin with the same sets.
class SetSearch {
public:
    virtual ~SetSearch() = default;

    /// One generation.
    virtual void step() = 0;
    /// Generations done.
    virtual std::uint32_t generation() const noexcept = 0;
    /// Sets scored so far.
    virtual std::uint64_t evaluations() const noexcept = 0;
    /// Ascending ids of the best set so far.
    virtual std::span<const std::uint32_t> best_ids() const noexcept = 0;
    /// Its agreement, with its sign.
    virtual double best_score() const noexcept = 0;

    /// All that the search needs to go on in another process, as `load` takes it.
    virtual std::vector<std::byte> save() const = 0;
    /// Goes on where the saved search stood. Throws Error (store) on a state of other settings.
    virtual void load(std::span<const std::byte> state) = 0;
};

/// Draws and scores the first sets. `similarity` must outlive the search and serve nobody else
/// while it steps. Throws Error (config) where the settings are out of range or the items too few,
/// and Error (data) where no set has a score.
std::unique_ptr<SetSearch> make_search(const SearchSettings& settings, PairSimilarity& similarity);

/// The same search, state for state, where an executor works; the genetic one only. The host waits
/// for many generations at once, so that some steps take as long as all of these, and most nothing.
///
/// similarity  for the first sets
/// pairs       of the same areas; must outlive the search
std::unique_ptr<SetSearch> make_search_on(const SearchSettings& settings,
                                          PairSimilarity& similarity, DevicePairs& pairs);

}  // namespace twinscreen
