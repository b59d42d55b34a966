#pragma once

#include <cstddef>

#include "engine/device/executor.hpp"
#include "kernels/image.hpp"

namespace twinscreen {

/// Network inputs of a whole batch from a PictureBatch: every bit as apply_transform makes it, in
/// one launch. Blank rows become zeros. Stream-ordered.
///
/// number  of the canvas in the PictureBatch
/// packed  u8, bytes() of the PictureBatch in the executor's memory
/// inputs  f32 [rows of the PictureBatch, canvas row], the executor's
void prepare_images(const InputTransform& canvas, std::size_t number, ConstBatch packed,
                    Batch inputs, Executor& executor);

}  // namespace twinscreen
