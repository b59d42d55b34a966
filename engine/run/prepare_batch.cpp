#include "engine/run/prepare_batch.hpp"

#include "kernels/prepare_images.hpp"

namespace twinscreen {

BatchPreparation::BatchPreparation(Executor& executor) : executor_(&executor)
{
    for (Place& place : places_) place.is_free = executor.make_milestone();
}

void BatchPreparation::prepare(const InputBatch& batch, std::span<const InputTransform> canvases,
                               std::span<const Batch> inputs)
{
    TWINSCREEN_REQUIRE(batch.pictures.has_value(), internal, "the batch holds no packed pictures");
    const ConstBatch packed = batch.pictures->bytes();
    Place& place = places_[next_];
    next_ = (next_ + 1) % places_.size();
    if (place.memory.is_empty() || place.memory.shape().count() < packed.shape.count()) {
        place.memory = ExecutorMemory(*executor_, packed.type, packed.shape);
        place.is_free->set();  // memory is there in the order of the stream
    }
    const Batch there = rows_of(place.memory.view(), 0, packed.shape.count());
    executor_->upload(there, packed, *place.is_free);
    for (std::size_t number = 0; number < canvases.size(); ++number)
        prepare_images(canvases[number], number, there, inputs[number], *executor_);
    place.is_free->set();
}

}  // namespace twinscreen
