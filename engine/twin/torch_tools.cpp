#include "engine/twin/torch_tools.hpp"

#include <ATen/ATen.h>

namespace twinscreen {

namespace {

at::ScalarType scalar_type_of(ElementType type)
{
    TWINSCREEN_REQUIRE(type == ElementType::f32 || type == ElementType::f64, internal,
                       "a network batch holds {}, expected float32 or float64", name_of(type));
    return type == ElementType::f32 ? at::kFloat : at::kDouble;
}

std::vector<std::int64_t> extents_of(const Shape& shape)
{
    return {shape.extent.begin(), shape.extent.begin() + shape.rank};
}

at::Tensor view_of(void* data, ElementType type, const Shape& shape)
{
    return at::from_blob(data, extents_of(shape), at::TensorOptions().dtype(scalar_type_of(type)));
}

}  // namespace

ElementType element_type_of(Precision precision) noexcept
{
    return precision == Precision::f32 ? ElementType::f32 : ElementType::f64;
}

at::Tensor tensor_view(const ConstBatch& batch)
{
    // from_blob knows no constant memory; callers only read.
    return view_of(const_cast<void*>(batch.data), batch.type, batch.shape);
}

at::Tensor tensor_view(const Batch& batch) { return view_of(batch.data, batch.type, batch.shape); }

at::Tensor tensor_of(const std::vector<double>& values, const std::vector<std::int64_t>& shape,
                     Precision precision)
{
    const at::Tensor wide = at::from_blob(const_cast<double*>(values.data()), shape,
                                          at::TensorOptions().dtype(at::kDouble));
    return precision == Precision::f32 ? wide.to(at::kFloat) : wide.clone();
}

OwnedBatch batch_of(const at::Tensor& tensor)
{
    Shape shape;
    shape.rank = static_cast<int>(tensor.dim());
    for (int axis = 0; axis < shape.rank; ++axis)
        shape.extent[static_cast<std::size_t>(axis)] = tensor.size(axis);
    OwnedBatch batch(tensor.scalar_type() == at::kFloat ? ElementType::f32 : ElementType::f64,
                     shape);
    tensor_view(batch.view()).copy_(tensor.detach());
    return batch;
}

}  // namespace twinscreen
