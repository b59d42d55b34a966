#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "experiments/relational_control/search/search_state.hpp"
#include "experiments/relational_control/search/set_search.hpp"
#include "kernels/set_draw.hpp"

namespace twinscreen {

/// Sets and their agreements.
struct ScoredSets {
    std::vector<std::uint32_t> ids;  ///< [sets, set_size]
    std::vector<double> scores;      ///< [sets]
};

/// What a search makes smaller: infinite for a set without a score, which so never survives.
double cost_of(Objective objective, double score) noexcept;

/// What all searches have in common: counters, the best set, saving.
class SearchBase : public SetSearch {
public:
    SearchBase(const SearchSettings& settings, PairSimilarity& similarity);

    void step() final;
    std::uint32_t generation() const noexcept final { return generation_; }
    std::uint64_t evaluations() const noexcept final { return evaluations_; }
    std::span<const std::uint32_t> best_ids() const noexcept final { return best_ids_; }
    double best_score() const noexcept final { return best_score_; }
    std::vector<std::byte> save() const final;
    void load(std::span<const std::byte> state) final;

protected:
    /// Looks at the sets of generation `generation()`, counted from 0.
    virtual void look_at_generation() = 0;
    virtual void save_rest(StateWriter& state) const = 0;
    virtual void load_rest(StateReader& state) = 0;

    const SearchSettings& settings() const noexcept { return settings_; }
    PairSimilarity& similarity() noexcept { return similarity_; }
    std::uint32_t items() const noexcept { return similarity_.items(); }
    double cost(double score) const noexcept { return cost_of(settings_.objective, score); }
    /// Where the draws of this generation begin; the first sets are those of generation 0.
    DrawAddress draws(DrawStream stream, std::uint32_t generation, std::uint32_t member) const;
    /// The first sets, scored.
    ScoredSets first_sets();
    void count_evaluations(std::size_t sets) noexcept { evaluations_ += sets; }
    /// Throws Error (data) where not even the worst survivor of a generation has a finite cost.
    void require_survivors(double worst_cost) const;
    void offer_best(std::span<const std::uint32_t> ids, double score);
    bool is_done() const noexcept;
    /// Sets from a saved state: as many as `ids` has. Throws Error (store) for what is no set.
    void take_sets(StateReader& state, std::vector<std::uint32_t>& ids) const;

private:
    std::vector<std::byte> fingerprint() const;

    SearchSettings settings_;
    PairSimilarity& similarity_;
    std::uint32_t generation_ = 0;
    std::uint64_t evaluations_ = 0;
    std::vector<std::uint32_t> best_ids_;
    double best_score_;
};

std::unique_ptr<SetSearch> make_genetic_search(const SearchSettings& settings,
                                               PairSimilarity& similarity);
std::unique_ptr<SetSearch> make_greedy_search(const SearchSettings& settings,
                                              PairSimilarity& similarity);
std::unique_ptr<SetSearch> make_exchange_search(const SearchSettings& settings,
                                                PairSimilarity& similarity);
std::unique_ptr<SetSearch> make_annealing_search(const SearchSettings& settings,
                                                 PairSimilarity& similarity);

}  // namespace twinscreen
