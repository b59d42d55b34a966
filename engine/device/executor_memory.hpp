#pragma once

#include <utility>

#include "engine/device/executor.hpp"

namespace twinscreen {

/// Memory of an executor with a type and a shape, move-only; the executor must outlive it. Contents
/// are not initialised.
class ExecutorMemory {
public:
    enum class Place { device, pinned };

    ExecutorMemory() = default;
    ExecutorMemory(Executor& executor, ElementType type, const Shape& shape,
                   Place place = Place::device);
    ~ExecutorMemory() { release(); }
    ExecutorMemory(ExecutorMemory&& other) noexcept { swap(other); }
    ExecutorMemory& operator=(ExecutorMemory&& other) noexcept
    {
        ExecutorMemory taken(std::move(other));
        swap(taken);
        return *this;
    }

    Batch view() const noexcept { return view_; }
    const Shape& shape() const noexcept { return view_.shape; }
    bool is_empty() const noexcept { return view_.data == nullptr; }

private:
    void release() noexcept;
    void swap(ExecutorMemory& other) noexcept
    {
        std::swap(executor_, other.executor_);
        std::swap(place_, other.place_);
        std::swap(view_, other.view_);
    }

    Executor* executor_ = nullptr;
    Place place_ = Place::device;
    Batch view_;
};

}  // namespace twinscreen
