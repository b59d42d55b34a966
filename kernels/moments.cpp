#include "kernels/moments.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/vectorise.hpp"

namespace twinscreen {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();
constexpr std::size_t tile_columns = 256;  // 6 sums of 8 bytes each: a tile stays in the L1 cache

TWINSCREEN_VECTOR_CLONES
void add_powers(const float* __restrict__ values, std::size_t count,
                const double* __restrict__ shift, double* __restrict__ missing,
                double* __restrict__ s1, double* __restrict__ s2, double* __restrict__ s3,
                double* __restrict__ s4)
{
    for (std::size_t i = 0; i < count; ++i) {
        const double value = static_cast<double>(values[i]);
        const bool there = value == value;
        const double d = there ? value - shift[i] : 0.0;
        const double dd = d * d;
        missing[i] += there ? 0.0 : 1.0;
        s1[i] += d;
        s2[i] += dd;
        s3[i] += dd * d;
        s4[i] += dd * dd;
    }
}

}  // namespace

MomentTable::MomentTable(std::size_t columns)
    : count(columns, 0.0), mean(columns, 0.0), m2(columns, 0.0), m3(columns, 0.0), m4(columns, 0.0)
{
}

void MomentTable::merge(const MomentTable& later)
{
    TWINSCREEN_REQUIRE(later.columns() == columns(), internal,
                       "moments of {} columns cannot be merged with moments of {}", columns(),
                       later.columns());
    for (std::size_t c = 0; c < columns(); ++c) {
        const double na = count[c];
        const double nb = later.count[c];
        if (nb == 0.0) continue;
        if (na == 0.0) {
            count[c] = nb;
            mean[c] = later.mean[c];
            m2[c] = later.m2[c];
            m3[c] = later.m3[c];
            m4[c] = later.m4[c];
            continue;
        }
        const double n = na + nb;
        const double delta = later.mean[c] - mean[c];
        const double d = delta / n;
        const double product = na * nb;
        m4[c] += later.m4[c] + delta * d * d * d * product * (na * na - product + nb * nb) +
                 6.0 * d * d * (na * na * later.m2[c] + nb * nb * m2[c]) +
                 4.0 * d * (na * later.m3[c] - nb * m3[c]);
        m3[c] += later.m3[c] + delta * d * d * product * (na - nb) +
                 3.0 * d * (na * later.m2[c] - nb * m2[c]);
        m2[c] += later.m2[c] + delta * d * product;
        mean[c] += nb * d;
        count[c] = n;
    }
}

std::vector<double> MomentTable::planes() const
{
    std::vector<double> result;
    result.reserve(5 * columns());
    for (const std::vector<double>* plane : {&count, &mean, &m2, &m3, &m4})
        result.insert(result.end(), plane->begin(), plane->end());
    return result;
}

MomentTable MomentTable::from_planes(ConstBatch planes)
{
    TWINSCREEN_REQUIRE(planes.shape.rank == 2 && planes.shape.extent[0] == 5, internal,
                       "stored moments have shape {}, expected [5, columns]", planes.shape.text());
    const auto values = values_of<double>(planes);
    MomentTable table(static_cast<std::size_t>(planes.shape.extent[1]));
    auto from = values.begin();
    for (std::vector<double>* plane : {&table.count, &table.mean, &table.m2, &table.m3, &table.m4})
        for (double& value : *plane) value = *from++;
    return table;
}

double MomentTable::variance(std::size_t column) const
{
    return count[column] < 2.0 ? nan : m2[column] / (count[column] - 1.0);
}

double MomentTable::skewness(std::size_t column) const
{
    if (!(m2[column] > 0.0)) return nan;
    return std::sqrt(count[column]) * m3[column] / std::pow(m2[column], 1.5);
}

double MomentTable::kurtosis(std::size_t column) const
{
    if (!(m2[column] > 0.0)) return nan;
    return count[column] * m4[column] / (m2[column] * m2[column]) - 3.0;
}

double MomentTable::lifetime_sparseness(std::size_t column) const
{
    const double n = count[column];
    if (n < 2.0) return nan;
    const double square_of_mean = mean[column] * mean[column];
    const double mean_of_squares = square_of_mean + m2[column] / n;
    if (!(mean_of_squares > 0.0)) return nan;
    return (1.0 - square_of_mean / mean_of_squares) / (1.0 - 1.0 / n);
}

MomentAccumulator::MomentAccumulator(std::size_t columns)
    : columns_(columns), sums_(6 * columns, 0.0)
{
    std::fill_n(plane(1), columns, nan);
}

void MomentAccumulator::add_rows(ConstBatch rows)
{
    const std::size_t columns = columns_;
    double* const shift = plane(1);
    const auto count = static_cast<std::size_t>(rows.shape.extent[0]);
    TWINSCREEN_REQUIRE(
        rows.shape.rank == 2 && static_cast<std::size_t>(rows.shape.extent[1]) == columns, internal,
        "rows have shape {}, expected [rows, {}]", rows.shape.text(), columns);
    const float* values = values_of<float>(rows).data();
    for (std::size_t row = 0; row < count && !all_shifts_known_; ++row) {
        all_shifts_known_ = true;
        for (std::size_t c = 0; c < columns; ++c) {
            if (std::isnan(shift[c])) shift[c] = static_cast<double>(values[row * columns + c]);
            if (std::isnan(shift[c])) all_shifts_known_ = false;
        }
    }
    for (std::size_t first = 0; first < columns; first += tile_columns) {
        const std::size_t width = std::min(tile_columns, columns - first);
        for (std::size_t row = 0; row < count; ++row)
            add_powers(values + row * columns + first, width, shift + first, plane(0) + first,
                       plane(2) + first, plane(3) + first, plane(4) + first, plane(5) + first);
    }
    rows_ += count;
}

MomentTable MomentAccumulator::result() const
{
    return moments_of_sums(
        {sums_.data(), ElementType::f64, {6, static_cast<std::int64_t>(columns_)}}, rows_);
}

MomentTable moments_of_sums(ConstBatch sums, std::uint64_t rows)
{
    TWINSCREEN_REQUIRE(sums.shape.rank == 2 && sums.shape.extent[0] == 6, internal,
                       "sums of moments have shape {}, expected [6, columns]", sums.shape.text());
    const auto columns = static_cast<std::size_t>(sums.shape.extent[1]);
    const auto plane = [&](std::size_t number) {
        return values_of<double>(sums).subspan(number * columns, columns);
    };
    const auto missing = plane(0), shift = plane(1);
    const auto s1 = plane(2), s2 = plane(3), s3 = plane(4), s4 = plane(5);
    MomentTable table(columns);
    for (std::size_t c = 0; c < columns; ++c) {
        const double n = static_cast<double>(rows) - missing[c];
        if (n == 0.0) continue;
        const double d = s1[c] / n;  // mean, as distance from the shift
        table.count[c] = n;
        table.mean[c] = shift[c] + d;
        table.m2[c] = std::max(0.0, s2[c] - d * s1[c]);
        table.m3[c] = s3[c] - 3.0 * d * s2[c] + 2.0 * d * d * s1[c];
        table.m4[c] =
            std::max(0.0, s4[c] - 4.0 * d * s3[c] + 6.0 * d * d * s2[c] - 3.0 * d * d * d * s1[c]);
    }
    return table;
}

}  // namespace twinscreen
