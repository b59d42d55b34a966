#include "engine/run/fitting_batch.hpp"

#include <algorithm>

#include "engine/device/device_error.hpp"
#include "engine/twin/torch_device.hpp"

namespace twinscreen {
namespace {

constexpr double mib = 1024.0 * 1024.0;

InputBatch black_pictures(const ForwardPlan& forward, std::int64_t rows)
{
    InputBatch batch;
    batch.items.count = static_cast<std::uint64_t>(rows);
    batch.valid.assign(batch.items.count, 1);
    const auto zeros = [rows](const Shape& row) {
        OwnedBatch values(ElementType::f32, row.with_rows(rows));
        std::ranges::fill(values.values<float>(), 0.0F);
        return values;
    };
    for (const InputTransform& canvas : forward.canvases())
        batch.canvases.push_back(zeros(canvas.row_shape()));
    for (const CovariateBinding& binding : forward.bindings())
        batch.covariates.push_back(zeros(Shape{static_cast<std::int64_t>(binding.extent())}));
    return batch;
}

/// Of pictures that travel, which lie on the device twice: pixels, or else finished rows.
std::size_t bytes_of_pictures(const ForwardPlan& forward, std::uint32_t rows)
{
    std::size_t finished = 0;
    for (const InputTransform& canvas : forward.canvases())
        finished += static_cast<std::size_t>(canvas.row_shape().count()) * sizeof(float) * rows;
    return 2 * (ReaderSettings{}.most_picture_bytes + finished);
}

/// The batches' memory is given back where it did not fit.
bool fits_in_float32(ForwardPlan& forward, std::uint32_t rows, std::size_t device_bytes,
                     Executor& executor)
{
    try {
        const auto beside = static_cast<std::int64_t>(device_bytes);
        const auto pictures = static_cast<std::int64_t>(bytes_of_pictures(forward, rows));
        const ExecutorMemory held(executor, ElementType::u8, Shape{pictures + beside});
        const InputBatch batch = black_pictures(forward, rows);
        for (int under_way = 0; under_way < 2; ++under_way) {
            forward.start(batch, executor);
            forward.wait_for_inputs();
        }
        forward.forget_started();
        return true;
    } catch (const OutOfDeviceMemory&) {
        forward.give_back_memory();
        give_back_unused_memory(executor);
        return false;
    }
}

/// Float32 takes the most, and some batches of a run in lower precision are computed in it too.
bool fits(ForwardPlan& forward, std::uint32_t rows, std::size_t device_bytes, Executor& executor)
{
    const Arithmetic asked = forward.arithmetic();
    forward.multiply_in(Arithmetic::float32);
    const bool fitted = fits_in_float32(forward, rows, device_bytes, executor);
    forward.multiply_in(asked);
    return fitted;
}

/// 0 where none does.
std::uint32_t first_fitting(ForwardPlan& forward, std::uint32_t most, std::size_t device_bytes,
                            Executor& executor)
{
    std::uint32_t rows = most;
    while (rows > 0 && !fits(forward, rows, device_bytes, executor)) rows /= 2;
    return rows;
}

[[noreturn]] void throw_too_large(std::uint32_t batch_items, std::uint32_t smaller,
                                  std::size_t free_bytes, const Executor& executor)
{
    throw Error(Error::Kind::device,
                fmt::format("a batch of {} pictures does not fit into the memory of {} ({:.0f} MiB "
                            "are free)",
                            batch_items, executor.name(), static_cast<double>(free_bytes) / mib),
                smaller > 0 ? fmt::format("one of {} was tried and fits: [run] batch_items = {}",
                                          smaller, smaller)
                            : "not even one picture fits: use a smaller network or another GPU");
}

}  // namespace

void require_fitting_batch(ForwardPlan& forward, std::uint32_t batch_items,
                           std::size_t device_bytes, Executor& executor)
{
    if (fits(forward, batch_items, device_bytes, executor)) return;
    const std::size_t free = executor.free_bytes();
    throw_too_large(batch_items, first_fitting(forward, batch_items / 2, device_bytes, executor),
                    free, executor);
}

std::uint32_t largest_fitting_batch(ForwardPlan& forward, std::uint32_t most,
                                    std::size_t device_bytes, Executor& executor)
{
    const std::uint32_t rows = first_fitting(forward, most, device_bytes, executor);
    if (rows == 0) throw_too_large(1, 0, executor.free_bytes(), executor);
    return rows;
}

}  // namespace twinscreen
