#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "engine/base/types.hpp"

namespace twinscreen {

/// Central moments of many columns: count, mean, and sums of the 2nd, 3rd and 4th powers of the
/// deviations from the mean. Each vector has one value per column.
struct MomentTable {
    std::vector<double> count;
    std::vector<double> mean;
    std::vector<double> m2;
    std::vector<double> m3;
    std::vector<double> m4;

    explicit MomentTable(std::size_t columns = 0);
    std::size_t columns() const noexcept { return count.size(); }

    /// Adds the moments of items that come after these (Chan, Golub & LeVeque 1979; Pébay 2008,
    /// eqs. 2.1, 2.2). Call in shard order: the last bits depend on the order.
    void merge(const MomentTable& later);

    /// count, mean, m2, m3, m4 one after the other: [5, columns], for storage.
    std::vector<double> planes() const;
    static MomentTable from_planes(ConstBatch planes);

    /// Variance of one column with divisor count - 1; NaN below two values.
    double variance(std::size_t column) const;
    /// Skewness g1 = (m3 / n) / (m2 / n)^(3/2); NaN where the variance is 0.
    double skewness(std::size_t column) const;
    /// Excess kurtosis g2 = n m4 / m2^2 - 3; NaN where the variance is 0.
    double kurtosis(std::size_t column) const;
    /// Lifetime sparseness S = (1 - (sum r / n)^2 / (sum r^2 / n)) / (1 - 1 / n) of Vinje &
    /// Gallant (2000), in 0..1 for responses r >= 0; NaN below two values or if all are 0.
    double lifetime_sparseness(std::size_t column) const;
};

/// Of sums as MomentAccumulator keeps them.
///
/// sums  f64 [6, columns]: values missing, first value, sums of powers 1 to 4 of the distance from
/// it rows  that were added
MomentTable moments_of_sums(ConstBatch sums, std::uint64_t rows);

/// Moments of the columns of batches of rows, in one pass.
///
/// Sums powers of the distance from the column's first value, in row order and in double: results
/// depend neither on how the rows are cut into batches nor on threads or vector width. NaN is
/// left out, column by column.
class MomentAccumulator {
public:
    explicit MomentAccumulator(std::size_t columns);
    /// rows  [rows, columns]  f32
    void add_rows(ConstBatch rows);
    MomentTable result() const;

private:
    double* plane(std::size_t number) noexcept { return sums_.data() + number * columns_; }

    std::size_t columns_;
    std::vector<double> sums_;  // [6, columns], see moments_of_sums; NaN before the first value
    std::uint64_t rows_ = 0;
    bool all_shifts_known_ = false;
};

}  // namespace twinscreen
