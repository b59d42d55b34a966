#pragma once

#include <algorithm>
#include <array>
#include <cstring>
#include <functional>
#include <memory>
#include <span>

#include "engine/device/executor_memory.hpp"

namespace twinscreen {

/// Rows first ... first + count - 1, put there.
using FillRows = std::function<void(std::int64_t first, std::int64_t count, float* to)>;

/// A table in the executor's memory, filled through blocks of pinned memory: one is filled while
/// the other is copied.
///
/// returns  [rows, columns] f32
ExecutorMemory uploaded_rows(std::int64_t rows, std::int64_t columns, const FillRows& fill,
                             Executor& executor);

/// Memory of an executor for values that have no ElementType, as bytes.
template <class T>
class DeviceValues {
public:
    DeviceValues() = default;
    DeviceValues(Executor& executor, std::int64_t count,
                 ExecutorMemory::Place place = ExecutorMemory::Place::device)
        : memory_(executor, ElementType::u8, {count, static_cast<std::int64_t>(sizeof(T))}, place)
    {
    }

    std::int64_t count() const noexcept { return memory_.shape().extent[0]; }
    T* data() const noexcept { return static_cast<T*>(memory_.view().data); }
    /// The first `count` of them.
    Batch first(std::int64_t count) const { return rows_of(memory_.view(), 0, count); }
    /// Of pinned memory, when nothing is being copied.
    std::span<T> values() const noexcept { return {data(), static_cast<std::size_t>(count())}; }

private:
    ExecutorMemory memory_;
};

/// Waits until they are there.
template <class T>
DeviceValues<T> uploaded(std::span<const T> values, Executor& executor)
{
    const auto count = static_cast<std::int64_t>(values.size());
    const DeviceValues<T> pinned(executor, count, ExecutorMemory::Place::pinned);
    DeviceValues<T> there(executor, count);
    std::ranges::copy(values, pinned.values().begin());
    executor.copy(there.first(count), pinned.first(count));
    executor.synchronize();
    return there;
}

}  // namespace twinscreen
