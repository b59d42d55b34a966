#pragma once

#include <functional>
#include <utility>

#include "engine/twin/torch_device.hpp"

namespace twinscreen {

/// A recording on the processor.
class CalledAgain final : public RecordedWork {
public:
    explicit CalledAgain(std::function<void()> work) : work_(std::move(work)) {}
    void give() override { work_(); }

private:
    std::function<void()> work_;
};

}  // namespace twinscreen
