#include "engine/device/executor_memory.hpp"

#include <algorithm>

namespace twinscreen {

ExecutorMemory::ExecutorMemory(Executor& executor, ElementType type, const Shape& shape,
                               Place place)
    : executor_(&executor), place_(place)
{
    view_ = {nullptr, type, shape, place == Place::device ? executor.space() : MemorySpace::host};
    const std::size_t bytes = std::max<std::size_t>(bytes_of(view_), 1);
    view_.data =
        place == Place::device ? executor.allocate(bytes) : executor.allocate_pinned(bytes);
}

void ExecutorMemory::release() noexcept
{
    if (view_.data == nullptr) return;
    if (place_ == Place::device)
        executor_->deallocate(view_.data);
    else
        executor_->deallocate_pinned(view_.data);
    view_ = {};
}

}  // namespace twinscreen
