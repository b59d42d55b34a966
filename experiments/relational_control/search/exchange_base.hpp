#pragma once

#include <algorithm>
#include <vector>

#include "experiments/relational_control/search/search_parts.hpp"

namespace twinscreen {

/// A set that changes by single exchanges, with the similarities of its pairs at hand: of a
/// proposed exchange only the pairs of the new id are looked up.
class CurrentSet {
public:
    CurrentSet(PairSimilarity& similarity, std::uint32_t set_size);

    /// ids  [set_size]  ascending
    void begin(std::span<const std::uint32_t> ids);
    std::span<const std::uint32_t> ids() const noexcept { return now_.ids; }
    double score() const noexcept { return now_.score; }

    /// Scores after each of these exchanges, up to rounding (about 1e-15).
    ///
    /// exchanges, scores  [exchanges]
    void propose(std::span<const Exchange> exchanges, std::span<double> scores);
    /// The set after one of the exchanges proposed last, scored like any other set. It becomes the
    /// current one with `take`.
    double score_after(std::size_t exchange);
    void take();

private:
    struct Pairs {
        std::vector<std::uint32_t> ids;  // ascending
        std::vector<float> x;            // [set_size, stride], both triangles; no diagonal
        std::vector<float> y;
        PairOrigin origin;
        PairSums sums;
        double score = 0.0;
    };

    void score_next();
    /// Sums over the pairs of the id at `position` with all others.
    const PairSums& row_sums_of(std::uint32_t position);
    /// Sums over one id's similarities [set_size] to all others than that at `position`.
    PairSums sums_without(std::uint32_t position, const float* x, const float* y);

    PairSimilarity& similarity_;
    std::uint32_t size_;
    std::uint32_t stride_;
    Pairs now_;
    Pairs next_;
    std::vector<PairSums> row_sums_;   // [set_size]
    std::vector<char> is_row_summed_;  // [set_size]
    std::vector<Exchange> proposed_;
    std::vector<std::uint32_t> new_ids_;
    std::vector<float> new_x_;  // [proposed, set_size]
    std::vector<float> new_y_;
    std::vector<float> row_x_;  // [stride]
    std::vector<float> row_y_;
};

/// A search that goes from set to set by single exchanges, drawn uniformly: candidate c of a
/// generation is member c of the stream `exchange`. Begins with the best of the first sets.
class ExchangeBase : public SearchBase {
public:
    ExchangeBase(const SearchSettings& settings, PairSimilarity& similarity);

protected:
    CurrentSet& current() noexcept { return current_; }
    double current_cost() const noexcept { return cost(current_.score()); }
    /// Draws and proposes candidates first ... first + count - 1 of this generation.
    void propose(std::uint32_t first, std::uint32_t count);
    const Exchange& exchange(std::size_t at) const { return exchanges_[at]; }
    double proposed_cost(std::size_t at) const { return cost(scores_[at]); }
    void take();

    /// Goes through the candidates of a generation one by one. `wants(candidate)` decides about
    /// a proposed one and takes it or not; how many are proposed at once only sets the speed.
    template <class Wants>
    void look_one_by_one(const Wants& wants);

    void save_rest(StateWriter& state) const override;
    void load_rest(StateReader& state) override;

private:
    CurrentSet current_;
    std::vector<Exchange> exchanges_;
    std::vector<double> scores_;
    std::uint32_t at_once_ = 1;
};

inline constexpr std::uint32_t most_proposed = 64;

template <class Wants>
void ExchangeBase::look_one_by_one(const Wants& wants)
{
    const auto candidates = static_cast<std::uint32_t>(sets_per_generation(settings()));
    std::uint32_t first = 0;
    while (first < candidates) {
        const std::uint32_t count = std::min(at_once_, candidates - first);
        propose(first, count);
        std::uint32_t at = 0;
        while (at < count && !wants(at)) ++at;
        const bool is_taken = at < count;
        first += is_taken ? at + 1 : count;
        at_once_ = is_taken ? std::max(at_once_ / 2, 1U) : std::min(2 * at_once_, most_proposed);
    }
    count_evaluations(candidates);
}

}  // namespace twinscreen
