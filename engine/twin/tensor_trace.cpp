#include "engine/twin/tensor_trace.hpp"

#include <algorithm>
#include <utility>

#include <torch/csrc/autograd/autograd.h>

#include "engine/twin/torch_tools.hpp"

namespace twinscreen {

TensorTrace::TensorTrace(const std::vector<std::size_t>& wanted,
                         const std::vector<at::Tensor>& values, const at::Tensor& images,
                         PullBack pull_back)
    : pull_back_(std::move(pull_back))
{
    for (std::size_t i = 0; i < wanted.size(); ++i) {
        // The caller's images need not live as long as the trace.
        const bool is_theirs = values[i].is_alias_of(images);
        taps_.emplace(wanted[i], is_theirs ? values[i].detach().clone().contiguous()
                                           : values[i].detach().contiguous());
    }
}

ConstBatch TensorTrace::tap(TapId tap) const
{
    const auto found = taps_.find(index_of(tap));
    TWINSCREEN_REQUIRE(found != taps_.end(), internal,
                       "tap {} was not asked for in this forward pass", index_of(tap));
    const at::Tensor& value = found->second;
    const ElementType type =
        value.scalar_type() == at::kFloat ? ElementType::f32 : ElementType::f64;
    return {value.data_ptr(), type, shape_of(value.sizes().vec())};
}

OwnedBatch TensorTrace::pull_back(std::span<const TapGradient> cotangents, Executor&)
{
    TWINSCREEN_REQUIRE(pull_back_ != nullptr, internal,
                       "this forward pass kept nothing for a gradient");
    return pull_back_(cotangents);
}

OwnedBatch gradient_of_images(const at::Tensor& images, const std::vector<std::size_t>& wanted,
                              const std::vector<at::Tensor>& values,
                              std::span<const TapGradient> cotangents)
{
    std::vector<at::Tensor> of;
    std::vector<at::Tensor> given;
    for (const TapGradient& cotangent : cotangents) {
        const auto found = std::find(wanted.begin(), wanted.end(), index_of(cotangent.tap));
        TWINSCREEN_REQUIRE(found != wanted.end(), internal,
                           "a gradient at tap {}, which this pass did not compute",
                           index_of(cotangent.tap));
        const at::Tensor& value = values[static_cast<std::size_t>(found - wanted.begin())];
        if (!value.requires_grad()) continue;  // does not depend on the image
        of.push_back(value);
        given.push_back(tensor_view(cotangent.values.view()).view(value.sizes()));
    }
    if (of.empty()) return batch_of(at::zeros_like(images));
    const at::Tensor result = torch::autograd::grad(of, {images}, given, /*retain_graph=*/true,
                                                    /*create_graph=*/false,
                                                    /*allow_unused=*/true)[0];
    return batch_of(result.defined() ? result : at::zeros_like(images));
}

Shape shape_of(const std::vector<std::int64_t>& extents)
{
    Shape shape;
    shape.rank = static_cast<int>(extents.size());
    std::copy(extents.begin(), extents.end(), shape.extent.begin());
    return shape;
}

}  // namespace twinscreen
