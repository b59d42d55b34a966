#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "engine/device/executor_memory.hpp"
#include "kernels/image.hpp"
#include "kernels/prepare_bodies.hpp"
#include "kernels/resample.hpp"

namespace twinscreen {

/// Pictures of a batch as they travel to a device, in one block of pinned memory: a table of rows,
/// then pixels, weights of resized axes (once for all rows of the same sizes) and finished rows.
/// prepare_images makes network inputs of it.
///
/// One thread at a time, which may be another than the executor's. Grows by replacing the block.
class PictureBatch {
public:
    /// rows                of each canvas
    /// most_picture_bytes  of pixels; what goes beyond it is prepared here and travels as finished
    ///                     rows, so that a batch of huge pictures stays within bounds
    PictureBatch(Executor& executor, std::vector<InputTransform> canvases, std::int64_t rows,
                 std::size_t most_picture_bytes);

    /// All rows blank again; the block is kept.
    void clear();
    /// The row of the canvases first ... first + count - 1 is to be made of the picture. Pixels of
    /// u8 pictures are kept as they are, once for all these canvases; all others become finished
    /// rows. Throws what apply_transform throws; blank the row then.
    void add(std::int64_t row, std::size_t first_canvas, std::size_t canvas_count,
             const Picture& picture);
    /// The row is zeros in all canvases.
    void blank(std::int64_t row);

    std::int64_t rows() const noexcept { return rows_; }
    /// u8 [bytes] of pinned memory, valid until the next call of a function that changes something.
    ConstBatch bytes() const;

private:
    struct KnownAxis {
        ResizeFilter filter{};
        ResampledAxis axis;
        PackedAxis packed{};
    };

    std::size_t table_bytes() const noexcept;
    /// Room for a block at the end; returns its offset.
    std::int64_t append(std::size_t bytes);
    void grow(std::size_t bytes);
    std::int64_t append_pixels(const Picture& picture);
    std::int64_t append_finished(const InputTransform& canvas, const Picture& picture);
    PackedAxis axis_of(ResizeFilter filter, const ResampledAxis& axis);
    std::byte* block() const noexcept { return static_cast<std::byte*>(memory_.view().data); }
    PackedRow& table_at(std::size_t canvas, std::int64_t row) const noexcept;

    Executor& executor_;
    std::vector<InputTransform> canvases_;
    std::int64_t rows_;
    std::size_t most_picture_bytes_;
    std::size_t picture_bytes_ = 0;
    std::size_t used_ = 0;  // of memory_
    ExecutorMemory memory_;
    std::vector<KnownAxis> axes_;
};

}  // namespace twinscreen
