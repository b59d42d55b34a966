#include "engine/twin/tensor_trace.hpp"

#include <algorithm>

#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>

namespace twinscreen {

at::Tensor in_full(const at::Tensor& values)
{
    return at::isReducedFloatingType(values.scalar_type()) ? values.to(at::kFloat) : values;
}

namespace {

std::map<std::size_t, at::Tensor> taps_of_values(const std::vector<std::size_t>& wanted,
                                                 const std::vector<at::Tensor>& values,
                                                 const at::Tensor& images)
{
    std::map<std::size_t, at::Tensor> taps;
    for (std::size_t i = 0; i < wanted.size(); ++i)
        taps.emplace(wanted[i], values[i].is_alias_of(images) ? values[i].clone() : values[i]);
    return taps;
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
        given.push_back(
            tensor_view(cotangent.values.view()).view(value.sizes()).to(value.device()));
    }
    if (of.empty()) return batch_of(at::zeros_like(images));
    const at::Tensor result = torch::autograd::grad(of, {images}, given, /*retain_graph=*/true,
                                                    /*create_graph=*/false,
                                                    /*allow_unused=*/true)[0];
    return batch_of(result.defined() ? result : at::zeros_like(images));
}

}  // namespace

std::unique_ptr<Trace> trace_of_values(const at::Tensor& images,
                                       const std::vector<std::size_t>& wanted,
                                       const std::vector<at::Tensor>& values, bool has_graph)
{
    TensorTrace::PullBack pull_back;
    if (has_graph)
        pull_back = [images, wanted, values](std::span<const TapGradient> cotangents) {
            return gradient_of_images(images, wanted, values, cotangents);
        };
    return std::make_unique<TensorTrace>(taps_of_values(wanted, values, images),
                                         std::move(pull_back));
}

Shape shape_of(const std::vector<std::int64_t>& extents)
{
    Shape shape;
    shape.rank = static_cast<int>(extents.size());
    std::copy(extents.begin(), extents.end(), shape.extent.begin());
    return shape;
}

}  // namespace twinscreen
