#include "engine/run/arithmetic_error.hpp"

#include <algorithm>
#include <array>
#include <cmath>

namespace twinscreen {
namespace {

/// One unit over the pictures of a batch.
struct UnitSums {
    double count = 0.0;
    double sum = 0.0;
    double squared_differences = 0.0;
    double squared_deviations = 0.0;
    double largest = 0.0;
};

}  // namespace

void ArithmeticError::add(ConstBatch found, ConstBatch in_float32,
                          std::span<const std::uint8_t> valid)
{
    const auto columns = static_cast<std::size_t>(in_float32.shape.extent[1]);
    const auto ours = values_of<float>(found), theirs = values_of<float>(in_float32);
    for (std::size_t column = 0; column < columns; ++column) {
        UnitSums unit;
        const auto for_each_picture = [&](auto&& visit) {
            for (std::size_t row = 0; row < valid.size(); ++row)
                if (const std::size_t at = row * columns + column;
                    valid[row] != 0 && std::isfinite(theirs[at]))
                    visit(double{ours[at]}, double{theirs[at]});
        };
        for_each_picture([&](double mine, double reference) {
            if (!std::isfinite(mine)) {
                ++overflowed_;
                mine = 0.0;
            }
            unit.count += 1.0;
            unit.sum += reference;
            unit.squared_differences += (mine - reference) * (mine - reference);
            unit.largest = std::max(unit.largest, std::abs(mine - reference));
        });
        for_each_picture([&](double, double reference) {
            const double deviation = reference - unit.sum / unit.count;
            unit.squared_deviations += deviation * deviation;
        });
        squared_differences_ += unit.squared_differences;
        squared_deviations_ += unit.squared_deviations;
        if (unit.squared_deviations > 0.0)
            largest_ =
                std::max(largest_, unit.largest / std::sqrt(unit.squared_deviations / unit.count));
    }
    ++batches_;
}

ArithmeticError ArithmeticError::over_all(Communicator& communicator) const
{
    std::array<double, 4> sums{static_cast<double>(batches_), static_cast<double>(overflowed_),
                               squared_differences_, squared_deviations_};
    std::array<double, 1> largest{largest_};
    communicator.all_reduce(sums, Reduction::sum);
    communicator.all_reduce(largest, Reduction::max);
    ArithmeticError all;
    all.batches_ = static_cast<std::uint64_t>(sums[0]);
    all.overflowed_ = static_cast<std::uint64_t>(sums[1]);
    all.squared_differences_ = sums[2];
    all.squared_deviations_ = sums[3];
    all.largest_ = largest[0];
    return all;
}

double ArithmeticError::of_spread() const
{
    return squared_deviations_ > 0.0 ? std::sqrt(squared_differences_ / squared_deviations_) : 0.0;
}

}  // namespace twinscreen
