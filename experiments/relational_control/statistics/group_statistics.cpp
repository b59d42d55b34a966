#include "experiments/relational_control/statistics/group_statistics.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace twinscreen {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

/// A mean of resampled subjects and in how many ordered resamples it occurs.
struct WeightedMean {
    double mean = 0.0;
    std::uint64_t weight = 0;
};

std::uint64_t binomial(std::uint64_t n, std::uint64_t k)
{
    std::uint64_t result = 1;
    for (std::uint64_t i = 1; i <= k; ++i) result = result * (n - k + i) / i;
    return result;
}

/// Lists every multiset of subjects; its weight is n! / (c_1! ... c_n!), as a product of binomials.
class Multisets {
public:
    explicit Multisets(std::span<const double> subjects) : subjects_(subjects)
    {
        choose(0, subjects.size(), {0.0, 1});
    }
    std::vector<WeightedMean> take() { return std::move(means_); }

private:
    void choose(std::size_t subject, std::size_t open, WeightedMean sum)
    {
        if (subject + 1 == subjects_.size()) {
            sum.mean += static_cast<double>(open) * subjects_[subject];
            sum.mean /= static_cast<double>(subjects_.size());
            means_.push_back(sum);
            return;
        }
        for (std::size_t times = 0; times <= open; ++times)
            choose(subject + 1, open - times,
                   {sum.mean + static_cast<double>(times) * subjects_[subject],
                    sum.weight * binomial(open, times)});
    }

    std::span<const double> subjects_;
    std::vector<WeightedMean> means_;
};

/// Smallest mean whose cumulative weight is at least `part` of 40 (2.5 % each).
double fortieth(std::span<const WeightedMean> sorted, std::uint64_t total, std::uint64_t part)
{
    std::uint64_t cumulative = 0;
    for (const WeightedMean& entry : sorted) {
        cumulative += entry.weight;
        if (40 * cumulative >= part * total) return entry.mean;
    }
    return nan;
}

Interval exact_interval(std::span<const double> subjects)
{
    std::vector<WeightedMean> means = Multisets(subjects).take();
    std::ranges::sort(means, {}, &WeightedMean::mean);
    std::uint64_t total = 0;
    for (const WeightedMean& entry : means) total += entry.weight;
    return {fortieth(means, total, 1), fortieth(means, total, 39)};
}

Interval drawn_interval(std::span<const double> subjects, const BootstrapMethod& method)
{
    const auto count = static_cast<std::uint32_t>(subjects.size());
    const auto drawn = draw_resamples(count, method.resamples, method.seed);
    std::vector<double> means(method.resamples, 0.0);
    for (std::size_t at = 0; at < drawn.size(); ++at) means[at / count] += subjects[drawn[at]];
    for (double& mean : means) mean /= static_cast<double>(count);
    return {quantile(means, 0.025), quantile(means, 0.975)};
}

}  // namespace

double permutation_p(std::uint64_t more_extreme, std::uint64_t iterations) noexcept
{
    return static_cast<double>(more_extreme + 1) / static_cast<double>(iterations + 1);
}

std::vector<bool> rejected_at_fdr(std::span<const double> p, double alpha)
{
    std::vector<double> sorted;
    std::ranges::copy_if(p, std::back_inserter(sorted), [](double x) { return !std::isnan(x); });
    std::ranges::sort(sorted);
    double largest_rejected = -1.0;
    for (std::size_t rank = 1; rank <= sorted.size(); ++rank)
        if (sorted[rank - 1] <=
            static_cast<double>(rank) * alpha / static_cast<double>(sorted.size()))
            largest_rejected = sorted[rank - 1];
    std::vector<bool> rejected(p.size());
    for (std::size_t at = 0; at < p.size(); ++at) rejected[at] = p[at] <= largest_rejected;
    return rejected;
}

double binomial_survival(std::uint32_t k, std::uint32_t n, double probability)
{
    if (k == 0) return 1.0;
    const double odds = probability / (1.0 - probability);
    double term = std::pow(1.0 - probability, n);  // of `successes`, from 0 on
    double sum = 0.0;
    for (std::uint32_t successes = 1; successes <= n; ++successes) {
        term *= odds * static_cast<double>(n - successes + 1) / static_cast<double>(successes);
        if (successes >= k) sum += term;
    }
    return sum;
}

Interval bootstrap_mean(std::span<const double> subjects, const BootstrapMethod& method)
{
    std::vector<double> known;
    std::ranges::copy_if(subjects, std::back_inserter(known),
                         [](double value) { return !std::isnan(value); });
    if (known.empty()) return {nan, nan};
    if (known.size() == 1) return {known[0], known[0]};
    const bool is_exact =
        method.exact_if_few && known.size() <= BootstrapMethod::most_exact_subjects;
    return is_exact ? exact_interval(known) : drawn_interval(known, method);
}

}  // namespace twinscreen
