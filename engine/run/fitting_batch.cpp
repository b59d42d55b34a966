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

/// The batches' memory is given back where it did not fit.
bool fits(ForwardPlan& forward, std::uint32_t rows, Executor& executor)
{
    try {
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

/// 0 where none does.
std::uint32_t first_fitting(ForwardPlan& forward, std::uint32_t most, Executor& executor)
{
    std::uint32_t rows = most;
    while (rows > 0 && !fits(forward, rows, executor)) rows /= 2;
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

void require_fitting_batch(ForwardPlan& forward, std::uint32_t batch_items, Executor& executor)
{
    if (fits(forward, batch_items, executor)) return;
    const std::size_t free = executor.free_bytes();
    throw_too_large(batch_items, first_fitting(forward, batch_items / 2, executor), free, executor);
}

std::uint32_t largest_fitting_batch(ForwardPlan& forward, std::uint32_t most, Executor& executor)
{
    const std::uint32_t rows = first_fitting(forward, most, executor);
    if (rows == 0) throw_too_large(1, 0, executor.free_bytes(), executor);
    return rows;
}

}  // namespace twinscreen
