#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "kernels/normal.hpp"
#include "kernels/set_score.hpp"

namespace twinscreen::patterns {

/// Response patterns of one area to some items, [items, units], in double.
struct Area {
    std::size_t items = 0;
    std::size_t units = 0;
    std::vector<double> values;

    double* row(std::size_t item) { return values.data() + item * units; }
    const double* row(std::size_t item) const { return values.data() + item * units; }
};

/// Patterns of `factors` hidden factors plus noise; areas of one seed share the factors, so their
/// similarities agree to some degree.
inline Area made_area(std::size_t items, std::size_t units, std::size_t factors, double noise,
                      std::uint64_t seed, std::uint32_t area)
{
    const auto normal = [&](std::uint32_t what, std::size_t row, std::size_t column) {
        return static_cast<double>(
            normal_draws({seed + std::uint64_t{what} * 1000, DrawStream::synthetic_noise, row,
                          static_cast<std::uint32_t>(column)})[0]);
    };
    Area made{items, units, std::vector<double>(items * units)};
    std::vector<double> weights(factors * units);
    for (std::size_t f = 0; f < factors; ++f)
        for (std::size_t u = 0; u < units; ++u) weights[f * units + u] = normal(1 + area, f, u);
    for (std::size_t item = 0; item < items; ++item)
        for (std::size_t u = 0; u < units; ++u) {
            double value = noise * normal(11 + area, item, u);
            for (std::size_t f = 0; f < factors; ++f)
                value += normal(0, item, f) * weights[f * units + u];
            made.row(item)[u] = value;
        }
    return made;
}

/// Pearson correlation from its formula, in two passes.
inline double naive_pearson(const std::vector<double>& x, const std::vector<double>& y)
{
    const auto n = static_cast<double>(x.size());
    double mean_x = 0.0;
    double mean_y = 0.0;
    for (std::size_t i = 0; i < x.size(); ++i) {
        mean_x += x[i] / n;
        mean_y += y[i] / n;
    }
    double xx = 0.0;
    double yy = 0.0;
    double xy = 0.0;
    for (std::size_t i = 0; i < x.size(); ++i) {
        xx += (x[i] - mean_x) * (x[i] - mean_x);
        yy += (y[i] - mean_y) * (y[i] - mean_y);
        xy += (x[i] - mean_x) * (y[i] - mean_y);
    }
    return xy / std::sqrt(xx * yy);
}

/// Similarity of two items: correlation of their patterns.
inline double naive_similarity(const Area& area, std::size_t a, std::size_t b)
{
    return naive_pearson({area.row(a), area.row(a) + area.units},
                         {area.row(b), area.row(b) + area.units});
}

/// Agreement of two areas about a set, by double loops.
inline double naive_agreement(const Area& first, const Area& second,
                              const std::vector<std::uint32_t>& set)
{
    std::vector<double> x;
    std::vector<double> y;
    for (std::size_t i = 1; i < set.size(); ++i)
        for (std::size_t j = 0; j < i; ++j) {
            x.push_back(naive_similarity(first, set[i], set[j]));
            y.push_back(naive_similarity(second, set[i], set[j]));
        }
    return naive_pearson(x, y);
}

/// Rows of which products are similarities: less their mean, over their length.
inline std::vector<float> unit_rows(const Area& area, std::size_t stride)
{
    std::vector<float> rows(area.items * stride, std::numeric_limits<float>::quiet_NaN());
    for (std::size_t item = 0; item < area.items; ++item) {
        const double* values = area.row(item);
        double mean = 0.0;
        for (std::size_t u = 0; u < area.units; ++u)
            mean += values[u] / static_cast<double>(area.units);
        double squares = 0.0;
        for (std::size_t u = 0; u < area.units; ++u)
            squares += (values[u] - mean) * (values[u] - mean);
        for (std::size_t u = 0; u < area.units; ++u)
            rows[item * stride + u] = static_cast<float>((values[u] - mean) / std::sqrt(squares));
    }
    return rows;
}

/// Stored similarities of several areas, interleaved; NaN on and above the diagonal, which nobody
/// may read.
inline std::vector<float> stored_values(const std::vector<Area>& areas)
{
    const std::size_t items = areas.front().items;
    const std::size_t count = areas.size();
    std::vector<float> values(items * items * count, std::numeric_limits<float>::quiet_NaN());
    for (std::size_t area = 0; area < count; ++area) {
        const std::size_t units = areas[area].units;
        const std::vector<float> rows = unit_rows(areas[area], units);
        for (std::size_t i = 0; i < items; ++i)
            for (std::size_t j = 0; j < i; ++j) {
                double sum = 0.0;
                for (std::size_t u = 0; u < units; ++u)
                    sum += static_cast<double>(rows[i * units + u]) *
                           static_cast<double>(rows[j * units + u]);
                values[(i * items + j) * count + area] = static_cast<float>(sum);
            }
    }
    return values;
}

}  // namespace twinscreen::patterns
