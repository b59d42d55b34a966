#pragma once

#include <vector>

#include "engine/base/types.hpp"
#include "engine/twin/twin.hpp"

// Only named here: the header of the tensor library stays in the .cpp files.
namespace at {
class Tensor;
}

namespace twinscreen {

ElementType element_type_of(Precision precision) noexcept;
/// A tensor on the memory of a batch of f32 or f64; the batch must outlive it.
at::Tensor tensor_view(const ConstBatch& batch);
at::Tensor tensor_view(const Batch& batch);
/// The memory of a contiguous tensor of f32 or f64, which must outlive the batch.
Batch batch_view(const at::Tensor& tensor);
/// A tensor of its own with the values cast to the precision.
at::Tensor tensor_of(const std::vector<double>& values, const std::vector<std::int64_t>& shape,
                     Precision precision);
/// Host memory with the tensor's values, shape and type, row-major. Waits for a GPU.
OwnedBatch batch_of(const at::Tensor& tensor);

}  // namespace twinscreen
