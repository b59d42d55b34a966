#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace twinscreen {

/// What a linear fit needs of images: sums over them of features x and responses y and of their
/// products, taken as distances from fixed references so that nothing cancels. Sums of disjoint
/// sets of images add up, so a fit needs memory for features^2, however many images there are.
struct LinearSums {
    std::size_t features = 0;
    std::size_t responses = 0;
    double images = 0.0;
    std::vector<double> x0;  ///< [features] reference, near the mean
    std::vector<double> y0;  ///< [responses] reference, near the mean
    std::vector<double> x;   ///< [features]
    std::vector<double> y;   ///< [responses]
    std::vector<double> yy;  ///< [responses] squares
    std::vector<double> xx;  ///< [features, features]; only places on or above the diagonal count
    std::vector<double> xy;  ///< [features, responses]

    LinearSums() = default;
    LinearSums(std::vector<double> x_reference, std::vector<double> y_reference);

    /// Adds images.
    ///
    /// features   [images, features], responses  [images, responses]; overwritten with distances
    ///
    /// Independent; on the compute threads. Bits depend on how images are cut into calls.
    void add(std::span<double> features, std::span<double> responses);
    /// Adds the sums of other images about the same references. Call in a fixed order.
    void merge(const LinearSums& others);

    /// Copies the places above the diagonal to those below: xx is whole until more is added.
    void complete_xx();

    /// xx on and above the diagonal, row by row [features * (features + 1) / 2], for storage.
    std::vector<double> packed_xx() const;
    void unpack_xx(std::span<const double> packed);
};

}  // namespace twinscreen
