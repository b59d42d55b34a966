#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include <ATen/core/Tensor.h>

#include "engine/twin/backbone.hpp"
#include "engine/twin/torch_tools.hpp"

namespace twinscreen {

/// What a network computed in lower precision, as float32; anything else as it is.
at::Tensor in_full(const at::Tensor& values);

/// Taps as a network left them, where it computed them: the values of many taps take more memory
/// than the network.
class TensorTrace final : public Trace {
public:
    using PullBack = std::function<OwnedBatch(std::span<const TapGradient>)>;

    /// taps       [rows, tap row] by number of the tap
    /// pull_back  empty if the forward pass was not asked to keep what a gradient needs
    explicit TensorTrace(std::map<std::size_t, at::Tensor> taps, PullBack pull_back = {})
        : taps_(std::move(taps)), pull_back_(std::move(pull_back))
    {
        for (auto& [number, values] : taps_) values = in_full(values.detach()).contiguous();
    }

    ConstBatch tap(TapId tap) const override
    {
        const auto found = taps_.find(index_of(tap));
        TWINSCREEN_REQUIRE(found != taps_.end(), internal,
                           "tap {} was not asked for in this forward pass", index_of(tap));
        return batch_view(found->second);
    }
    OwnedBatch pull_back(std::span<const TapGradient> cotangents, Executor&) override
    {
        TWINSCREEN_REQUIRE(pull_back_ != nullptr, internal,
                           "this forward pass kept nothing for a gradient");
        return pull_back_(cotangents);
    }

private:
    std::map<std::size_t, at::Tensor> taps_;
    PullBack pull_back_;
};

/// The trace of values that a network computed of images, by the numbers of their taps. None of
/// them lies in the memory of the images, which need not live as long as the trace.
///
/// has_graph  values were computed with a graph: gradients of the images can be had, zero where a
///            value does not depend on them
std::unique_ptr<Trace> trace_of_values(const at::Tensor& images,
                                       const std::vector<std::size_t>& wanted,
                                       const std::vector<at::Tensor>& values, bool has_graph);

Shape shape_of(const std::vector<std::int64_t>& extents);

}  // namespace twinscreen
