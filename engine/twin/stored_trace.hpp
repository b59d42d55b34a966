#pragma once

#include <functional>
#include <span>
#include <utility>
#include <vector>

#include "engine/twin/backbone.hpp"

namespace twinscreen {

/// A trace that owns its taps; what the backward pass needs lives in `pull_back`.
class StoredTrace final : public Trace {
public:
    using PullBack = std::function<OwnedBatch(std::span<const TapGradient>, Executor&)>;

    /// taps       one entry per tap of the backbone; empty where it was not wanted
    /// pull_back  empty if the forward pass was not asked to keep what a gradient needs
    explicit StoredTrace(std::vector<OwnedBatch> taps, PullBack pull_back = {})
        : taps_(std::move(taps)), pull_back_(std::move(pull_back))
    {
    }

    ConstBatch tap(TapId tap) const override
    {
        TWINSCREEN_REQUIRE(index_of(tap) < taps_.size() && taps_[index_of(tap)].bytes() > 0,
                           internal, "tap {} was not asked for in this forward pass",
                           index_of(tap));
        return taps_[index_of(tap)].view();
    }
    OwnedBatch pull_back(std::span<const TapGradient> cotangents, Executor& executor) override
    {
        TWINSCREEN_REQUIRE(pull_back_ != nullptr, internal,
                           "this forward pass kept nothing for a gradient");
        return pull_back_(cotangents, executor);
    }

private:
    std::vector<OwnedBatch> taps_;
    PullBack pull_back_;
};

}  // namespace twinscreen
