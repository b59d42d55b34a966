#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <random>
#include <span>
#include <vector>

namespace twinscreen {

/// Largest distance of two empirical distributions (Kolmogorov & Smirnov).
inline double largest_distance(std::vector<double> a, std::vector<double> b)
{
    std::sort(a.begin(), a.end());
    std::sort(b.begin(), b.end());
    const auto share = [](const std::vector<double>& sorted, double value) {
        return static_cast<double>(std::upper_bound(sorted.begin(), sorted.end(), value) -
                                   sorted.begin()) /
               static_cast<double>(sorted.size());
    };
    double largest = 0.0;
    for (const auto* values : {&a, &b})
        for (const double value : *values)
            largest = std::max(largest, std::fabs(share(a, value) - share(b, value)));
    return largest;
}

/// The distance that two samples of one distribution exceed once in a thousand times.
inline double distance_bound(std::size_t a, std::size_t b)
{
    const auto n = static_cast<double>(a);
    const auto m = static_cast<double>(b);
    return 1.95 * std::sqrt((n + m) / (n * m));
}

/// The same from the uniform distribution on k / steps, for p-values of steps - 1 permutations.
inline double distance_from_uniform(const std::vector<double>& p, int steps)
{
    double largest = 0.0;
    for (int k = 1; k <= steps; ++k) {
        const double bound = static_cast<double>(k) / steps;
        const auto below = static_cast<double>(
            std::count_if(p.begin(), p.end(), [&](double x) { return x <= bound + 1e-9; }));
        largest = std::max(largest, std::fabs(below / static_cast<double>(p.size()) - bound));
    }
    return largest;
}

inline double mean_of(std::span<const double> values)
{
    double sum = 0.0;
    for (const double value : values) sum += value;
    return sum / static_cast<double>(values.size());
}

inline double sd_of(std::span<const double> values)
{
    const double mean = mean_of(values);
    double sum = 0.0;
    for (const double value : values) sum += (value - mean) * (value - mean);
    return std::sqrt(sum / static_cast<double>(values.size() - 1));
}

inline std::vector<float> normal_table(std::size_t rows, std::size_t columns, std::uint64_t seed)
{
    std::mt19937_64 engine(seed);
    std::normal_distribution<float> normal;
    std::vector<float> values(rows * columns);
    for (float& value : values) value = normal(engine);
    return values;
}

/// `count` distinct ids below `bound`.
inline std::vector<std::uint32_t> random_ids(std::size_t count, std::uint32_t bound,
                                             std::mt19937_64& engine)
{
    std::vector<std::uint32_t> all(bound);
    for (std::uint32_t id = 0; id < bound; ++id) all[id] = id;
    std::shuffle(all.begin(), all.end(), engine);
    all.resize(count);
    return all;
}

}  // namespace twinscreen
