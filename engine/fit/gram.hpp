#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/device/executor.hpp"

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

/// The same where an executor works, in the order of its stream, in memory that is the executor's.
///
/// a         f32 [rows of a, width]
/// b         f32 [rows of b, width]
/// products  f32 [rows of a, rows of b]
void row_products(ConstBatch a, ConstBatch b, Batch products, Executor& executor);

/// sums[i, j] += sum over rows of a[row, i] b[row, j], in double. Independent; bits as above.
///
/// a, b  [rows, width of each], of as many rows
/// sums  [width of a, width of b]
void add_column_products(const FloatRows& a, const FloatRows& b, double* sums);

}  // namespace twinscreen
