#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace twinscreen {

/// A linear map y = intercept + weights^T x per response.
struct LinearFit {
    std::size_t features = 0;
    std::size_t responses = 0;
    std::vector<double> weights;    ///< [features, responses]
    std::vector<double> intercept;  ///< [responses]

    /// x [images, features] -> [images, responses]. Independent; on the compute threads.
    std::vector<double> predict(std::span<const double> x) const;
};

}  // namespace twinscreen
