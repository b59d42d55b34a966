#include "engine/fit/linear_fit.hpp"

#include <ATen/ATen.h>

#include "engine/fit/tensors.hpp"

namespace twinscreen {

std::vector<double> LinearFit::predict(std::span<const double> x) const
{
    const c10::InferenceMode no_gradients;
    const std::size_t images = features > 0 ? x.size() / features : 0;
    const at::Tensor predicted = at::addmm(
        tensor_on(intercept, {extent(responses)}), tensor_on(x, {extent(images), extent(features)}),
        tensor_on(weights, {extent(features), extent(responses)}));
    return values_of(predicted);
}

}  // namespace twinscreen
