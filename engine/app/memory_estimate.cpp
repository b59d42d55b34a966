#include "engine/app/memory_estimate.hpp"

#include <algorithm>

#include "engine/run/reader_threads.hpp"

namespace twinscreen {

MemoryEstimate memory_of(const StagePlan& stage, const Campaign& campaign, int ranks)
{
    constexpr double library_bytes = 400.0 * (1U << 20U);  // LibTorch, MPI and HDF5, as loaded
    MemoryEstimate memory;
    memory.twins = library_bytes + static_cast<double>(stage.forward->memory_bytes());
    for (const InputTransform& canvas : stage.forward->canvases())
        memory.inputs += static_cast<double>(canvas.row_shape().count()) * sizeof(float);
    // As if all ranks ran on this machine.
    const int readers = campaign.run.reader_threads > 0 ? campaign.run.reader_threads
                                                        : default_reader_threads(ranks);
    memory.inputs *= static_cast<double>(stage.plan.batch_items) * (2.0 * readers + 3.0);
    for (const ColumnSpec& column : stage.columns) {
        const auto row = static_cast<double>(column.row_bytes());
        if (column.domain == Domain::item)
            memory.shard += row * static_cast<double>(stage.plan.shard_items);
        if (column.domain == Domain::shard) memory.shard += row;
    }
    memory.writer =
        std::min(static_cast<double>(campaign.run.queue_mib) * (1U << 20U), 4.0 * memory.shard);
    return memory;
}

}  // namespace twinscreen
