#include "engine/fit/gram.hpp"

#include <ATen/ATen.h>

#include "engine/base/error.hpp"

namespace twinscreen {
namespace {

at::Tensor tensor_on(const FloatRows& rows)
{
    // from_blob knows no constant memory.
    return at::from_blob(
        const_cast<float*>(rows.first),
        {static_cast<std::int64_t>(rows.rows), static_cast<std::int64_t>(rows.width)},
        {static_cast<std::int64_t>(rows.stride), 1}, at::TensorOptions().dtype(at::kFloat));
}

}  // namespace

void row_products(const FloatRows& a, const FloatRows& b, float* products)
{
    const c10::InferenceMode no_gradients;
    TWINSCREEN_REQUIRE(a.width == b.width, internal, "rows of {} and of {} values are multiplied",
                       a.width, b.width);
    at::Tensor out = at::from_blob(
        products, {static_cast<std::int64_t>(a.rows), static_cast<std::int64_t>(b.rows)},
        at::TensorOptions().dtype(at::kFloat));
    at::mm_out(out, tensor_on(a), tensor_on(b).t());
}

void row_products(ConstBatch a, ConstBatch b, Batch products, Executor& executor)
{
    const c10::InferenceMode no_gradients;
    const at::DeviceType device = executor.space() == MemorySpace::host ? at::kCPU : at::kCUDA;
    const auto tensor = [device](const void* values, const Shape& shape) {
        TWINSCREEN_REQUIRE(shape.rank == 2, internal, "products of rows of shape {}", shape.text());
        return at::from_blob(const_cast<void*>(values), {shape.extent[0], shape.extent[1]},
                             at::TensorOptions().dtype(at::kFloat).device(device));
    };
    at::Tensor out = tensor(products.data, products.shape);
    at::mm_out(out, tensor(a.data, a.shape), tensor(b.data, b.shape).t());
}

void add_column_products(const FloatRows& a, const FloatRows& b, double* sums)
{
    const c10::InferenceMode no_gradients;
    TWINSCREEN_REQUIRE(a.rows == b.rows, internal, "columns of {} and of {} rows are multiplied",
                       a.rows, b.rows);
    at::Tensor to = at::from_blob(
        sums, {static_cast<std::int64_t>(a.width), static_cast<std::int64_t>(b.width)},
        at::TensorOptions().dtype(at::kDouble));
    to.addmm_(tensor_on(a).t().to(at::kDouble), tensor_on(b).to(at::kDouble));
}

}  // namespace twinscreen
