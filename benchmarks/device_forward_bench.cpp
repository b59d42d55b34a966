// Whole batches of pictures through twins on a GPU where one is visible, else on the emulated
// device; says which. Pictures are in memory, as uint8: what is measured is sending, preparing,
// networks, readouts and bringing the responses back.
//
// usage: device_forward_bench [--bundles FOLDER] [--batch N] [--seconds S] [--emulated] [--json
// FILE]
//   --bundles  folders of twins; an analytic twin is always measured
//   --batch    pictures of a pass (256)
//   --seconds  of each measurement (2)
#include <algorithm>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "benchmarks/bench_support.hpp"
#include "benchmarks/device_figures.hpp"
#include "engine/base/stopwatch.hpp"
#include "engine/run/forward_plan.hpp"
#include "engine/run/prepare_batch.hpp"
#include "engine/twin/bundle.hpp"
#include "engine/twin/torch_device.hpp"
#include "kernels/runtime.hpp"

namespace twinscreen::bench {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t most_picture_bytes = std::size_t{1} << 30U;
constexpr std::int64_t compared_rows = 8;

struct Options {
    std::string bundles;
    std::string json;
    std::int64_t batch = 256;
    double seconds = 2.0;
    bool emulated = false;
};

Options options_of(const std::vector<std::string>& arguments)
{
    Options options;
    for (std::size_t at = 1; at < arguments.size(); ++at) {
        const std::string& name = arguments[at];
        if (name == "--emulated") {
            options.emulated = true;
            continue;
        }
        TWINSCREEN_REQUIRE(at + 1 < arguments.size(), config, "{}: unknown, or without a value",
                           name);
        const std::string& value = arguments[++at];
        if (name == "--bundles")
            options.bundles = value;
        else if (name == "--json")
            options.json = value;
        else if (name == "--batch")
            options.batch = std::stoll(value);
        else if (name == "--seconds")
            options.seconds = std::stod(value);
        else
            throw Error(Error::Kind::config, fmt::format("unknown option {}", name));
    }
    return options;
}

/// Noise of the size that the canvas has, [height, width, 1 or 3] of uint8.
Picture noise(const InputTransform& canvas, std::uint32_t seed)
{
    Picture picture{canvas.height, canvas.width, canvas.channels, false,
                    OwnedBatch(ElementType::u8, {canvas.height, canvas.width, canvas.channels})};
    for (std::uint8_t& value : picture.pixels.values<std::uint8_t>()) {
        seed = seed * 1664525U + 1013904223U;
        value = static_cast<std::uint8_t>(seed >> 24U);
    }
    return picture;
}

OwnedBatch zeros(std::int64_t rows, std::size_t extent)
{
    OwnedBatch values(ElementType::f32, {rows, static_cast<std::int64_t>(extent)});
    std::ranges::fill(values.values<float>(), 0.0F);
    return values;
}

/// The same pictures for every executor: packed, or as canvases where images run one by one.
InputBatch batch_of_noise(const ForwardPlan& plan, std::int64_t rows, Executor& executor)
{
    InputBatch batch;
    batch.items.count = static_cast<std::uint64_t>(rows);
    batch.valid.assign(batch.items.count, 1);
    for (const CovariateBinding& binding : plan.bindings())
        batch.covariates.push_back(zeros(rows, binding.extent()));
    const std::vector<InputTransform>& canvases = plan.canvases();
    const bool is_packed = executor.wants_whole_batches();
    if (is_packed) batch.pictures.emplace(executor, canvases, rows, most_picture_bytes);
    for (const InputTransform& canvas : canvases)
        if (!is_packed)
            batch.canvases.emplace_back(ElementType::f32, canvas.row_shape().with_rows(rows));
    for (std::int64_t row = 0; row < rows; ++row)
        for (std::size_t number = 0; number < canvases.size(); ++number) {
            const Picture picture = noise(canvases[number], static_cast<std::uint32_t>(row));
            if (is_packed)
                batch.pictures->add(row, number, 1, picture);
            else
                apply_transform(canvases[number], picture,
                                rows_of(batch.canvases[number].view(), row, 1));
        }
    return batch;
}

/// Calls a second, after two calls that nobody counts.
double rate_of(double seconds, const std::function<void()>& call)
{
    for (int warm_up = 0; warm_up < 2; ++warm_up) call();
    const Stopwatch watch;
    int calls = 0;
    do {
        call();
        ++calls;
    } while (watch.seconds() < seconds);
    return calls / watch.seconds();
}

/// Largest difference from the host's responses to the first pictures, in units of their spread.
double difference_from_host(ForwardPlan& plan, ForwardPlan& host_plan, Executor& executor)
{
    const auto responses = [](ForwardPlan& of, Executor& on) {
        const InputBatch batch = batch_of_noise(of, compared_rows, on);
        OwnedBatch units(ElementType::f32,
                         {compared_rows, static_cast<std::int64_t>(of.unit_columns())});
        of.run(batch, units.view(), Batch{}, on);
        return units;
    };
    const auto host = make_host_executor();
    const OwnedBatch wanted = responses(host_plan, *host);
    host_plan.give_back_memory();  // before the executor goes
    const OwnedBatch found = responses(plan, executor);
    double sum = 0.0;
    double squares = 0.0;
    double largest = 0.0;
    const auto w = wanted.values<float>();
    const auto f = found.values<float>();
    for (std::size_t i = 0; i < w.size(); ++i) {
        sum += double(w[i]);
        squares += double(w[i]) * double(w[i]);
        largest = std::max(largest, std::abs(double(w[i]) - double(f[i])));
    }
    const auto count = static_cast<double>(w.size());
    return largest / std::sqrt(std::max(squares / count - sum / count * (sum / count), 1e-30));
}

/// Two batches are on their way at any time, as in a shard.
double pictures_per_second(ForwardPlan& plan, const Options& options, double seconds,
                           Executor& executor, Figures& figures)
{
    const std::vector<InputBatch> batches = [&] {
        std::vector<InputBatch> two;
        two.push_back(batch_of_noise(plan, options.batch, executor));
        two.push_back(batch_of_noise(plan, options.batch, executor));
        return two;
    }();
    std::size_t next = 0;
    plan.start(batches[next], executor);
    const std::uint64_t waits_before = executor.waits();
    std::uint64_t calls = 0;
    const double rate = rate_of(seconds, [&] {
        next = 1 - next;
        plan.wait_for_inputs();
        plan.start(batches[next], executor);
        static_cast<void>(plan.finish());
        ++calls;
    });
    figures.add("host waits per batch",
                static_cast<double>(executor.waits() - waits_before) / static_cast<double>(calls),
                "");
    plan.forget_started();
    return rate * static_cast<double>(options.batch);
}

/// Sending and preparing alone.
double prepared_per_second(const ForwardPlan& plan, const Options& options, Executor& executor)
{
    const InputBatch batch = batch_of_noise(plan, options.batch, executor);
    std::vector<ExecutorMemory> memory;
    std::vector<Batch> inputs;
    for (const InputTransform& canvas : plan.canvases()) {
        memory.emplace_back(executor, ElementType::f32,
                            canvas.row_shape().with_rows(options.batch));
        inputs.push_back(memory.back().view());
    }
    BatchPreparation preparation(executor);
    return static_cast<double>(options.batch) * rate_of(options.seconds / 2.0, [&] {
               preparation.prepare(batch, plan.canvases(), inputs);
               executor.synchronize();
           });
}

/// Twins with nothing to follow: a state of zeros.
TwinCovariates resting_state(const Twin& twin)
{
    TwinCovariates state;
    for (const Axis& axis : twin.parts.front().backbone->covariates())
        state.push_back(
            {axis.name, std::vector<double>(static_cast<std::size_t>(axis.extent)), {}});
    return state;
}

/// The same plan in lower precision, or with recorded passes.
Figures other_way(ForwardPlan& plan, ForwardPlan& host_plan, Arithmetic arithmetic, bool replays,
                  const Options& options, Executor& executor)
{
    fmt::print("  {}{}:\n", name_of(arithmetic), replays ? ", replayed" : "");
    Figures figures;
    plan.give_back_memory();
    plan.multiply_in(arithmetic);
    plan.replay_passes(replays);
    if (!replays)  // a pass is recorded after some full batches only
        figures.add("largest difference from the host",
                    difference_from_host(plan, host_plan, executor), "of the spread");
    plan.give_back_memory();
    figures.add("pictures per second",
                pictures_per_second(plan, options, options.seconds / 2.0, executor, figures),
                "pictures/s");
    return figures;
}

using MakeTwins = std::function<std::vector<Twin>()>;

void measure(const std::string& name, const MakeTwins& make, const Options& options,
             Executor& executor, Figures& figures)
{
    std::vector<Twin> twins = make();
    std::vector<Twin> of_host = make();
    const std::vector<TwinCovariates> state{resting_state(twins.front())};
    ForwardPlan plan(twins, state, {true, false});
    ForwardPlan host_plan(of_host, state, {true, false});
    Figures mine;
    fmt::print("{}:\n", name);
    mine.add("units", plan.unit_columns(), "");
    mine.add("multiply-accumulates per picture", plan.macs_per_item(), "");
    mine.add("largest difference from the host", difference_from_host(plan, host_plan, executor),
             "of the spread");
    plan.give_back_memory();
    const double rate = pictures_per_second(plan, options, options.seconds, executor, mine);
    mine.add("pictures per second", rate, "pictures/s");
    mine.add("arithmetic", 2.0 * plan.macs_per_item() * rate / 1e12, "TFLOP/s");
    mine.add("sent and prepared alone", prepared_per_second(plan, options, executor), "pictures/s");
    for (const Arithmetic arithmetic :
         {Arithmetic::tf32, Arithmetic::bfloat16, Arithmetic::float16})
        mine.add_part(name_of(arithmetic),
                      other_way(plan, host_plan, arithmetic, false, options, executor));
    mine.add_part("replayed",
                  other_way(plan, host_plan, Arithmetic::float32, true, options, executor));
    figures.add_part(name, mine);
}

std::vector<Twin> analytic_twin()
{
    return std::move(campaign_of("[[twins]]\nfamily = \"gabor_energy\"\n[[stimuli]]\ncount = 1\n"
                                 "[stimuli.pink_noise]\n[screen]\n")
                         .twins);
}

void run(const Options& options)
{
    open_gpu_library();
    set_compute_threads(usable_cores());
    Figures figures;
    const auto executor = chosen_executor(options.emulated, figures);
    use_for_networks(*executor);
    figures.add("batch", options.batch, "pictures");
    measure("gabor_energy", analytic_twin, options, *executor, figures);
    std::vector<fs::path> bundles;
    if (!options.bundles.empty())
        for (const auto& entry : fs::directory_iterator(options.bundles))
            if (fs::exists(entry.path() / "twin.toml")) bundles.push_back(entry.path());
    std::ranges::sort(bundles);
    for (const fs::path& bundle : bundles) {
        const auto twin_of_bundle = [&bundle] {
            std::vector<Twin> twins;
            twins.push_back(load_bundle(bundle));
            return twins;
        };
        measure(bundle.filename().string(), twin_of_bundle, options, *executor, figures);
    }
    if (!options.json.empty()) figures.write(options.json);
}

}  // namespace
}  // namespace twinscreen::bench

int main(int argument_count, char** arguments)
{
    using namespace twinscreen::bench;
    return exit_code_of([&] {
        const twinscreen::KernelRuntime kernels;
        run(options_of({arguments, arguments + argument_count}));
    });
}
