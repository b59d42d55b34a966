#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "experiments/statistics.hpp"

namespace twinscreen {

/// The tests and intervals that relational neural control (Gifford, Jastrzebowska, Singer & Cichy
/// 2024) uses within and between subjects.

/// p = (c + 1) / (I + 1) of a permutation test in which c of I null values were strictly more
/// extreme than the observed one (Phipson & Smyth 2010). Never 0.
double permutation_p(std::uint64_t more_extreme, std::uint64_t iterations) noexcept;

/// Which hypotheses of one family are rejected (Benjamini & Hochberg 1995): with the m p-values
/// sorted, the k smallest for the largest k with p_(k) <= k * alpha / m.
///
/// p        [hypotheses]  NaN is a test that was not made: never rejected, and not counted in m
/// returns  [hypotheses]
std::vector<bool> rejected_at_fdr(std::span<const double> p, double alpha = 0.05);

/// P(X >= k) of a binomial X of n trials: the chance that k or more of n subjects are significant
/// where no subject has an effect. A sum of the upper terms, so that small values keep all digits;
/// 1 for k = 0, 0 for k > n.
double binomial_survival(std::uint32_t k, std::uint32_t n, double probability = 0.05);

/// How `bootstrap_mean` resamples.
struct BootstrapMethod {
    /// All resamples, each with its probability, where there are at most `most_exact_subjects`.
    bool exact_if_few = true;
    std::uint32_t resamples = 100'000;  ///< drawn where the interval is not exact
    std::uint64_t seed = 0;             ///< drawn as `draw_resamples` does

    static constexpr std::size_t most_exact_subjects = 8;  // 6,435 multisets
};

/// 95 % percentile interval of the mean over subjects that are resampled with replacement (Efron &
/// Tibshirani 1993).
///
/// subjects  [any]  NaN subjects are left out; with one left both bounds are its value, with none
///                  they are NaN
///
/// The exact bounds are the smallest resampled means at which the cumulative probability reaches
/// 0.025 and 0.975. Drawn bounds interpolate between order statistics, at (resamples - 1) * q.
/// Calls with the same seed and number of subjects use the same resamples.
Interval bootstrap_mean(std::span<const double> subjects, const BootstrapMethod& method = {});

}  // namespace twinscreen
