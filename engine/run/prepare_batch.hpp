#pragma once

#include <array>
#include <span>

#include "engine/device/executor_memory.hpp"
#include "engine/run/input_reader.hpp"

namespace twinscreen {

/// Makes network inputs of packed batches where the executor works, which must outlive it. Two
/// batches lie there at a time, so that one travels while networks compute the one before.
class BatchPreparation {
public:
    explicit BatchPreparation(Executor& executor);

    /// One copy, one launch per canvas; rows that are not valid and padding become zeros. Does not
    /// wait: the batch must stay as it is until a milestone set after this call is reached, so
    /// reach one before asking the stream for the batch that takes its place.
    ///
    /// canvases  those that the reader was made with
    /// inputs    for each canvas f32 [batch_items, canvas row], the executor's
    void prepare(const InputBatch& batch, std::span<const InputTransform> canvases,
                 std::span<const Batch> inputs);

private:
    struct Place {
        ExecutorMemory memory;  // u8 [bytes], as many as the largest batch so far took
        std::unique_ptr<Milestone> is_free;
    };

    Executor* executor_;
    std::array<Place, 2> places_;
    std::size_t next_ = 0;
};

}  // namespace twinscreen
