#include "engine/run/prepare_batch.hpp"

#include "engine/device/executor_memory.hpp"
#include "kernels/prepare_images.hpp"

namespace twinscreen {

void prepare_batch(const InputBatch& batch, std::span<const InputTransform> canvases,
                   std::span<const Batch> inputs, Executor& executor)
{
    TWINSCREEN_REQUIRE(batch.pictures.has_value(), internal, "the batch holds no packed pictures");
    const ConstBatch packed = batch.pictures->bytes();
    // Taken and given back in the order of the stream: the next batch finds the same block.
    const ExecutorMemory there(executor, packed.type, packed.shape);
    executor.copy(there.view(), packed);
    for (std::size_t number = 0; number < canvases.size(); ++number)
        prepare_images(canvases[number], number, there.view(), inputs[number], executor);
}

}  // namespace twinscreen
