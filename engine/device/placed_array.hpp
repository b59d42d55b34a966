#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "engine/device/executor_memory.hpp"

namespace twinscreen {

/// Constants on the host and, once work on a device has asked for them, there too. The executor
/// must outlive the array. Independent; one thread.
template <class T>
class PlacedArray {
public:
    PlacedArray() = default;
    explicit PlacedArray(std::vector<T> values) : values_(std::move(values)) {}

    const std::vector<T>& values() const noexcept { return values_; }
    ConstBatch view() const noexcept
    {
        return {values_.data(), element_type_of<T>(),
                Shape{static_cast<std::int64_t>(values_.size())}};
    }

    /// Where the executor works; copied the first time, in the order of its stream.
    ConstBatch on(Executor& executor) const
    {
        if (executor.space() == MemorySpace::host || values_.empty()) return view();
        if (device_.is_empty()) {
            device_ = ExecutorMemory(executor, view().type, view().shape);
            executor.copy(device_.view(), view());
            executor.synchronize();  // the vector may go away before an ordered copy is over
        }
        return device_.view();
    }

private:
    std::vector<T> values_;
    mutable ExecutorMemory device_;
};

}  // namespace twinscreen
