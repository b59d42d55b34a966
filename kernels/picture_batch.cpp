#include "kernels/picture_batch.hpp"

#include <algorithm>
#include <cstring>
#include <memory>
#include <numeric>
#include <optional>
#include <utility>

#include "kernels/fitted_axes.hpp"

namespace twinscreen {
namespace {

constexpr std::size_t alignment = 16;

std::size_t aligned(std::size_t bytes) { return (bytes + alignment - 1) / alignment * alignment; }

/// Weights that take every kept pixel as it is.
AxisWeights kept_pixels(const ResampledAxis& axis)
{
    const auto outputs = static_cast<std::size_t>(axis.kept_count);
    AxisWeights result;
    result.taps = 1;
    result.first.resize(outputs);
    std::iota(result.first.begin(), result.first.end(), axis.kept_first);
    result.count.assign(outputs, 1);
    result.weight.assign(outputs, 1.0F);
    result.fixed.assign(outputs, std::int32_t{1} << PrepareImages::fixed_bits);
    return result;
}

/// Writes 4-byte numbers; returns their end.
template <class T>
std::byte* put(std::byte* to, const std::vector<T>& numbers)
{
    static_assert(sizeof(T) == 4);
    std::memcpy(to, numbers.data(), numbers.size() * sizeof(T));
    return to + numbers.size() * sizeof(T);
}

}  // namespace

PictureBatch::PictureBatch(Executor& executor, std::vector<InputTransform> canvases,
                           std::int64_t rows, std::size_t most_picture_bytes)
    : executor_(executor),
      canvases_(std::move(canvases)),
      rows_(rows),
      most_picture_bytes_(most_picture_bytes)
{
    static_assert(static_cast<int>(PackedRow::Kind::blank) == 0, "clear() writes zeros");
    clear();
}

std::size_t PictureBatch::table_bytes() const noexcept
{
    return aligned(canvases_.size() * static_cast<std::size_t>(rows_) * sizeof(PackedRow));
}

void PictureBatch::clear()
{
    axes_.clear();
    picture_bytes_ = 0;
    used_ = 0;
    append(table_bytes());
    std::memset(block(), 0, table_bytes());
}

std::int64_t PictureBatch::append(std::size_t bytes)
{
    const std::size_t at = used_;
    const std::size_t end = at + aligned(bytes);
    if (memory_.is_empty() || end > bytes_of(memory_.view())) grow(end);
    used_ = end;
    return static_cast<std::int64_t>(at);
}

void PictureBatch::grow(std::size_t bytes)
{
    std::size_t wanted = 2 * used_;
    // Pictures of one campaign are of similar sizes: the first one tells the block of all.
    if (used_ == table_bytes())
        wanted = used_ +
                 std::min((bytes - used_) * static_cast<std::size_t>(rows_), most_picture_bytes_);
    ExecutorMemory larger(executor_, ElementType::u8,
                          {static_cast<std::int64_t>(std::max(wanted, bytes))},
                          ExecutorMemory::Place::pinned);
    if (used_ > 0) std::memcpy(larger.view().data, block(), used_);
    memory_ = std::move(larger);
}

PackedRow& PictureBatch::table_at(std::size_t canvas, std::int64_t row) const noexcept
{
    return reinterpret_cast<PackedRow*>(block())[static_cast<std::int64_t>(canvas) * rows_ + row];
}

void PictureBatch::blank(std::int64_t row)
{
    for (std::size_t canvas = 0; canvas < canvases_.size(); ++canvas) table_at(canvas, row) = {};
}

void PictureBatch::add(std::int64_t row, std::size_t first_canvas, std::size_t canvas_count,
                       const Picture& picture)
{
    const bool as_pixels = picture.pixels.type() == ElementType::u8 && !picture.prepared &&
                           picture_bytes_ + picture.pixels.bytes() <= most_picture_bytes_;
    std::optional<std::int64_t> pixels;
    for (std::size_t number = first_canvas; number < first_canvas + canvas_count; ++number) {
        const InputTransform& canvas = canvases_[number];
        PackedRow packed{};
        if (as_pixels) {
            require_picture(picture);
            require_input_of_pictures(canvas);
            const FittedAxes axes = fitted_axes(canvas, picture);
            if (!pixels) pixels = append_pixels(picture);
            packed = {*pixels,
                      axis_of(canvas.filter, axes.rows),
                      axis_of(canvas.filter, axes.columns),
                      PackedRow::Kind::picture,
                      picture.width,
                      picture.channels};
        } else {
            packed.at = append_finished(canvas, picture);
            packed.kind = PackedRow::Kind::finished;
        }
        table_at(number, row) = packed;
    }
}

std::int64_t PictureBatch::append_pixels(const Picture& picture)
{
    const std::size_t bytes = picture.pixels.bytes();
    const std::int64_t at = append(bytes);
    std::memcpy(block() + at, picture.pixels.view().data, bytes);
    picture_bytes_ += bytes;
    return at;
}

std::int64_t PictureBatch::append_finished(const InputTransform& canvas, const Picture& picture)
{
    const Shape shape = canvas.row_shape();
    const std::int64_t at = append(static_cast<std::size_t>(shape.count()) * sizeof(float));
    apply_transform(canvas, picture, {block() + at, ElementType::f32, shape});
    return at;
}

PackedAxis PictureBatch::axis_of(ResizeFilter filter, const ResampledAxis& axis)
{
    for (const KnownAxis& known : axes_)
        if (known.filter == filter && known.axis == axis) return known.packed;
    const bool is_resized = axis.input != axis.output;
    const auto weights = is_resized ? axis_weights(filter, axis)
                                    : std::make_shared<const AxisWeights>(kept_pixels(axis));
    const std::size_t numbers = 2 * weights->first.size() + weights->weight.size();
    const std::int64_t at = append(numbers * 4);
    std::byte* end = put(put(block() + at, weights->first), weights->count);
    if (rounds_each_pass(filter))
        put(end, weights->fixed);
    else
        put(end, weights->weight);
    axes_.push_back({filter, axis, {at, axis.kept_count, weights->taps}});
    return axes_.back().packed;
}

ConstBatch PictureBatch::bytes() const
{
    return {block(), ElementType::u8, {static_cast<std::int64_t>(used_)}};
}

}  // namespace twinscreen
