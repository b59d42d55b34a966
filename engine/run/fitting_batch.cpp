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

/// The batch's memory is given back where it did not fit.
bool fits(ForwardPlan& forward, std::uint32_t rows, Executor& executor)
{
    try {
        forward.start(black_pictures(forward, rows), executor);
        static_cast<void>(forward.finish());
        return true;
    } catch (const OutOfDeviceMemory&) {
        forward.give_back_memory();
        give_back_unused_memory(executor);
        return false;
    }
}

}  // namespace

void require_fitting_batch(ForwardPlan& forward, std::uint32_t batch_items, Executor& executor)
{
    if (fits(forward, batch_items, executor)) return;
    const double free = static_cast<double>(executor.free_bytes()) / mib;
    std::uint32_t smaller = batch_items / 2;
    while (smaller > 0 && !fits(forward, smaller, executor)) smaller /= 2;
    throw Error(Error::Kind::device,
                fmt::format("a batch of {} pictures does not fit into the memory of {} ({:.0f} MiB "
                            "are free)",
                            batch_items, executor.name(), free),
                smaller > 0 ? fmt::format("one of {} was tried and fits: [run] batch_items = {}",
                                          smaller, smaller)
                            : "not even one picture fits: use a smaller network or another GPU");
}

}  // namespace twinscreen
