#pragma once

#include <span>

#include "engine/device/executor.hpp"
#include "engine/run/input_reader.hpp"

namespace twinscreen {

/// Network inputs of a packed batch where the executor works: one copy, one launch per canvas; rows
/// that are not valid and padding become zeros. Does not wait: the batch must stay as it is until a
/// milestone set after this call is reached, so reach one before asking the stream for the batch
/// that takes its place.
///
/// canvases  those that the reader was made with
/// inputs    for each canvas f32 [batch_items, canvas row], the executor's
void prepare_batch(const InputBatch& batch, std::span<const InputTransform> canvases,
                   std::span<const Batch> inputs, Executor& executor);

}  // namespace twinscreen
