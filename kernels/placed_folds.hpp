#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "engine/device/executor_memory.hpp"
#include "engine/device/placed_array.hpp"
#include "kernels/histogram.hpp"
#include "kernels/moments.hpp"
#include "kernels/select.hpp"

namespace twinscreen {

// Reductions of rows that lie where an executor works: stream-ordered, no row crosses to the host,
// and every bit is that of MomentAccumulator, Selection and Histogram. The executor must outlive
// them. Independent; one thread. Everything throws Error(device) when the device fails.

/// What one of them has gathered, and the way to the host.
class FoldState {
public:
    FoldState(Executor& executor, ElementType type, const Shape& shape);

    Batch view() const noexcept { return placed_.view(); }
    /// Zeros.
    void clear();
    /// In pinned memory until the next call. Waits for the executor.
    ConstBatch bring();

private:
    Executor* executor_;
    ExecutorMemory placed_;
    ExecutorMemory on_host_;
    std::unique_ptr<Milestone> is_there_;
};

class PlacedMoments {
public:
    PlacedMoments(std::size_t columns, Executor& executor);
    /// Forgets what was added.
    void start();
    /// rows  f32 [rows, columns], the executor's
    void add_rows(ConstBatch rows);
    /// Waits for the executor.
    MomentTable result();

private:
    Executor* executor_;
    FoldState sums_;  // f64 [6, columns]
    std::uint64_t rows_ = 0;
};

class PlacedSelection {
public:
    PlacedSelection(Extreme extreme, std::size_t columns, std::size_t kept, Executor& executor);
    void start();
    /// Items first_item, first_item + 1, ...; item numbers must grow from call to call.
    void add_rows(ConstBatch rows, std::uint64_t first_item);
    /// Waits for the executor.
    Selection result();

private:
    Executor* executor_;
    Extreme extreme_;
    std::size_t columns_;
    std::size_t kept_;
    FoldState lists_;   // Ranked [columns, kept]
    FoldState filled_;  // u32 [columns]
};

class PlacedHistogram {
public:
    PlacedHistogram(const std::vector<float>& edges, std::size_t columns, Executor& executor);
    void start();
    void add_rows(ConstBatch rows);
    /// Waits for the executor.
    Histogram result();

private:
    Executor* executor_;
    Histogram empty_;
    PlacedArray<float> edges_;
    FoldState counts_;  // u64 [columns, bins + 2]
};

}  // namespace twinscreen
