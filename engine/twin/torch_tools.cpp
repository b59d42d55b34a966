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

Shape shape_of(const at::Tensor& tensor)
{
    Shape shape;
    shape.rank = static_cast<int>(tensor.dim());
    for (int axis = 0; axis < shape.rank; ++axis)
        shape.extent[static_cast<std::size_t>(axis)] = tensor.size(axis);
    return shape;
}

ElementType type_of(const at::Tensor& tensor)
{
    return tensor.scalar_type() == at::kFloat ? ElementType::f32 : ElementType::f64;
}

at::Tensor view_of(const Batch& batch)
{
    const at::DeviceType device = batch.space == MemorySpace::host ? at::kCPU : at::kCUDA;
    return at::from_blob(batch.data, extents_of(batch.shape),
                         at::TensorOptions().dtype(scalar_type_of(batch.type)).device(device));
}

}  // namespace

ElementType element_type_of(Precision precision) noexcept
{
    return precision == Precision::f32 ? ElementType::f32 : ElementType::f64;
}

at::Tensor tensor_view(const ConstBatch& batch)
{
    // from_blob knows no constant memory; callers only read.
    return view_of({const_cast<void*>(batch.data), batch.type, batch.shape, batch.space});
}

at::Tensor tensor_view(const Batch& batch) { return view_of(batch); }

Batch batch_view(const at::Tensor& tensor)
{
    TWINSCREEN_REQUIRE(tensor.is_contiguous() && (tensor.scalar_type() == at::kFloat ||
                                                  tensor.scalar_type() == at::kDouble),
                       internal, "a tensor that is no batch: strided, or neither f32 nor f64");
    return {tensor.data_ptr(), type_of(tensor), shape_of(tensor),
            tensor.is_cpu() ? MemorySpace::host : MemorySpace::device};
}

at::Tensor tensor_of(const std::vector<double>& values, const std::vector<std::int64_t>& shape,
                     Precision precision)
{
    const at::Tensor wide = at::from_blob(const_cast<double*>(values.data()), shape,
                                          at::TensorOptions().dtype(at::kDouble));
    return precision == Precision::f32 ? wide.to(at::kFloat) : wide.clone();
}

OwnedBatch batch_of(const at::Tensor& tensor)
{
    OwnedBatch batch(type_of(tensor), shape_of(tensor));
    tensor_view(batch.view()).copy_(tensor.detach());
    return batch;
}

}  // namespace twinscreen
