#pragma once

#include <array>
#include <cmath>

#include "kernels/function.hpp"

namespace twinscreen {

/// The four pixels around a place of a map and their bilinear weights; 0 outside of the map.
struct BilinearSample {
    std::array<int, 4> pixels{};  ///< row * width + column
    std::array<double, 4> weights{};
};

/// x along the width, y along the height, -1 and 1 at the centres of the outermost pixels
/// (align_corners = true).
TWINSCREEN_FUNCTION inline BilinearSample bilinear_sample(double x, double y, int height, int width)
{
    const double column = (x + 1.0) / 2.0 * (width - 1);
    const double row = (y + 1.0) / 2.0 * (height - 1);
    const double left = std::floor(column);
    const double top = std::floor(row);
    BilinearSample sample;
    for (std::size_t corner = 0; corner < 4; ++corner) {
        const double at_column = left + static_cast<double>(corner % 2);
        const double at_row = top + static_cast<double>(corner / 2);
        if (!(at_column >= 0 && at_column < width && at_row >= 0 && at_row < height)) continue;
        sample.pixels[corner] = static_cast<int>(at_row) * width + static_cast<int>(at_column);
        sample.weights[corner] =
            (1.0 - std::abs(column - at_column)) * (1.0 - std::abs(row - at_row));
    }
    return sample;
}

}  // namespace twinscreen
