#pragma once

#include <functional>
#include <map>
#include <span>
#include <vector>

#include <ATen/ATen.h>

#include "engine/twin/backbone.hpp"

namespace twinscreen {

/// Wanted values as the network left them: the values of many taps take more memory than the
/// network.
class TensorTrace final : public Trace {
public:
    using PullBack = std::function<OwnedBatch(std::span<const TapGradient>)>;

    /// wanted     numbers of taps, one for each of the values [rows, tap row]
    /// pull_back  empty if the forward pass was not asked to keep what a gradient needs
    TensorTrace(const std::vector<std::size_t>& wanted, const std::vector<at::Tensor>& values,
                const at::Tensor& images, PullBack pull_back);

    ConstBatch tap(TapId tap) const override;
    OwnedBatch pull_back(std::span<const TapGradient> cotangents, Executor&) override;

private:
    std::map<std::size_t, at::Tensor> taps_;
    PullBack pull_back_;
};

/// Gradient of the images by the cotangents at wanted values, which were computed of them with a
/// graph. Zero where a value does not depend on them.
OwnedBatch gradient_of_images(const at::Tensor& images, const std::vector<std::size_t>& wanted,
                              const std::vector<at::Tensor>& values,
                              std::span<const TapGradient> cotangents);

Shape shape_of(const std::vector<std::int64_t>& extents);

}  // namespace twinscreen
