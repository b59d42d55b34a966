#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <ATen/ATen.h>

// Inside this folder only: doubles in memory as tensors and back.
namespace twinscreen {

inline std::int64_t extent(std::size_t count) { return static_cast<std::int64_t>(count); }

/// A tensor on memory that is only read and outlives it.
inline at::Tensor tensor_on(std::span<const double> values, at::IntArrayRef shape)
{
    // from_blob knows no constant memory.
    return at::from_blob(const_cast<double*>(values.data()), shape,
                         at::TensorOptions().dtype(at::kDouble));
}

inline std::vector<double> values_of(const at::Tensor& tensor)
{
    const at::Tensor plain = tensor.contiguous();
    return {plain.data_ptr<double>(), plain.data_ptr<double>() + plain.numel()};
}

}  // namespace twinscreen
