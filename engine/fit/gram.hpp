#pragma once

#include <cstddef>
#include <cstdint>

namespace twinscreen {

/// Rows of floats that lie `stride` apart. A view.
struct FloatRows {
    const float* first = nullptr;
    std::size_t rows = 0;
    std::size_t width = 0;
    std::size_t stride = 0;
};

/// products[i, j] = sum over columns of a[i] b[j]; float32. Independent; bits depend on the shapes
/// and on the compute threads.
///
/// a         [rows of a, width]
/// b         [rows of b, width]
/// products  [rows of a, rows of b]
void row_products(const FloatRows& a, const FloatRows& b, float* products);

}  // namespace twinscreen
