// Forward passes of one twin on pictures that are in memory already: prints the stimuli per second
// of one pass over them. For comparisons with another program, which calls this in turn with its
// own measurement.
//
// usage: forward_rate BUNDLE STIMULI [THREADS]
#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include <fmt/format.h>

#include "benchmarks/bench_support.hpp"
#include "engine/run/forward_plan.hpp"
#include "engine/twin/bundle.hpp"

namespace twinscreen::bench {
namespace {

/// A batch of noise in the range of pixels, the same for all callers.
InputBatch noise(const ForwardPlan& plan, std::uint32_t rows)
{
    InputBatch batch;
    batch.items = {ItemId{0}, rows};
    batch.luminance.assign(rows, 0.0);
    batch.valid.assign(rows, 1);
    for (const InputTransform& canvas : plan.canvases()) {
        batch.canvases.emplace_back(ElementType::f32, canvas.row_shape().with_rows(rows));
        std::uint32_t state = 1;
        for (float& value : batch.canvases.back().values<float>()) {
            state = state * 1664525U + 1013904223U;
            value = static_cast<float>(state >> 24U) - 127.5F;
        }
    }
    return batch;
}

void run(const std::filesystem::path& bundle, std::uint64_t stimuli, int threads)
{
    set_compute_threads(threads);
    const auto executor = make_host_executor();
    std::vector<Twin> twins;
    twins.push_back(load_bundle(bundle));
    const std::vector<TwinCovariates> none(1);
    ForwardPlan plan(twins, none, {true, false});
    constexpr std::uint32_t least_rows = 16;
    const std::uint32_t rows = std::max(plan.batch_multiple(), least_rows);
    const InputBatch batch = noise(plan, rows);
    OwnedBatch units(ElementType::f32, {rows, static_cast<std::int64_t>(plan.units().rows())});
    plan.run(batch, units.view(), Batch{}, *executor);
    const std::uint64_t batches = (stimuli + rows - 1) / rows;
    const double seconds = seconds_of([&] {
        for (std::uint64_t i = 0; i < batches; ++i)
            plan.run(batch, units.view(), Batch{}, *executor);
    });
    fmt::print("{}\n", static_cast<double>(batches * rows) / seconds);
}

}  // namespace
}  // namespace twinscreen::bench

int main(int argc, char** argv)
{
    if (argc < 3) {
        fmt::print(stderr, "usage: forward_rate BUNDLE STIMULI [THREADS]\n");
        return 2;
    }
    return twinscreen::bench::exit_code_of([&] {
        twinscreen::bench::run(argv[1], std::strtoull(argv[2], nullptr, 10),
                               argc > 3 ? std::atoi(argv[3]) : 1);
    });
}
