#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <memory>

#include <gtest/gtest.h>

#include "engine/config/section.hpp"
#include "engine/device/gpus.hpp"
#include "engine/run/forward_plan.hpp"
#include "engine/twin/bundle.hpp"
#include "engine/twin/torch_device.hpp"

namespace twinscreen {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t rows = 8;
constexpr double of_its_spread = 1e-4;  // float32 sums in another order

InputBatch batch_for(const ForwardPlan& plan, std::uint32_t state = 1)
{
    InputBatch batch;
    batch.items.count = rows;
    batch.valid.assign(rows, 1);
    const auto noise = [&state](const Shape& row) {
        OwnedBatch values(ElementType::f32, row.with_rows(rows));
        for (float& value : values.values<float>()) {
            state = state * 1664525U + 1013904223U;
            value = static_cast<float>(state >> 8U) / float(1U << 23U) - 1.0F;
        }
        return values;
    };
    for (const InputTransform& canvas : plan.canvases())
        batch.canvases.push_back(noise(canvas.row_shape()));
    for (const CovariateBinding& binding : plan.bindings())
        batch.covariates.push_back(noise(Shape{static_cast<std::int64_t>(binding.extent())}));
    return batch;
}

struct Answers {
    std::vector<float> units;
    std::vector<float> areas;
};

TwinCovariates resting_state(const Twin& twin)
{
    TwinCovariates state;
    for (const Axis& axis : twin.parts.front().backbone->covariates())
        state.push_back(
            {axis.name, std::vector<double>(static_cast<std::size_t>(axis.extent)), {}});
    return state;
}

/// Of all units; area means in a plan of their own, where readouts are folded.
Answers answers_of(std::vector<Twin> twins, Executor& executor)
{
    const std::vector<TwinCovariates> states{resting_state(twins.front())};
    const auto run = [&](ForwardWants wants) {
        ForwardPlan plan(twins, states, wants);
        const auto columns = static_cast<std::int64_t>(plan.unit_columns() + plan.area_columns());
        OwnedBatch out(ElementType::f32, {rows, columns});
        plan.run(batch_for(plan), wants.units ? out.view() : Batch{},
                 wants.areas ? out.view() : Batch{}, executor);
        const auto values = out.values<float>();
        return std::vector<float>(values.begin(), values.end());
    };
    return {run({true, false}), run({false, true})};
}

void expect_close(const std::vector<float>& found, const std::vector<float>& wanted)
{
    ASSERT_EQ(found.size(), wanted.size());
    double sum = 0.0;
    double squares = 0.0;
    for (const float value : wanted) {
        sum += double(value);
        squares += double(value) * double(value);
    }
    const double mean = sum / double(wanted.size());
    const double spread = std::sqrt(std::max(squares / double(wanted.size()) - mean * mean, 1e-12));
    for (std::size_t i = 0; i < wanted.size(); ++i)
        ASSERT_NEAR(found[i], wanted[i], of_its_spread * spread) << "value " << i;
}

/// To the last of several batches, which differ.
std::vector<float> last_answers_of(std::vector<Twin> twins, Arithmetic arithmetic, bool replays,
                                   Executor& executor)
{
    const std::vector<TwinCovariates> states{resting_state(twins.front())};
    ForwardPlan plan(twins, states, {true, true});
    plan.multiply_in(arithmetic);
    plan.replay_passes(replays);
    OwnedBatch units(ElementType::f32, {rows, static_cast<std::int64_t>(plan.unit_columns())});
    OwnedBatch areas(ElementType::f32, {rows, static_cast<std::int64_t>(plan.area_columns())});
    for (std::uint32_t batch = 1; batch <= 6; ++batch)
        plan.run(batch_for(plan, batch), units.view(), areas.view(), executor);
    std::vector<float> answers(units.values<float>().begin(), units.values<float>().end());
    answers.insert(answers.end(), areas.values<float>().begin(), areas.values<float>().end());
    return answers;
}

/// Recorded passes give the same bits; lower precision gives others, twice the same.
void expect_the_same_bits_of_replayed_passes(const std::function<std::vector<Twin>()>& twins)
{
    const auto gpu = make_gpu_executor(0);
    use_for_networks(*gpu);
    for (const Arithmetic arithmetic :
         {Arithmetic::float32, Arithmetic::tf32, Arithmetic::bfloat16, Arithmetic::float16}) {
        SCOPED_TRACE(name_of(arithmetic));
        EXPECT_EQ(last_answers_of(twins(), arithmetic, true, *gpu),
                  last_answers_of(twins(), arithmetic, false, *gpu));
    }
    EXPECT_NE(last_answers_of(twins(), Arithmetic::bfloat16, false, *gpu),
              last_answers_of(twins(), Arithmetic::float32, false, *gpu));
}

void expect_the_hosts_answers(const std::function<std::vector<Twin>()>& twins)
{
    set_compute_threads(1);
    const auto host = make_host_executor();
    const auto gpu = make_gpu_executor(0);
    use_for_networks(*gpu);
    const Answers wanted = answers_of(twins(), *host);
    const Answers found = answers_of(twins(), *gpu);
    expect_close(found.units, wanted.units);
    expect_close(found.areas, wanted.areas);
}

std::vector<Twin> analytic_twin()
{
    ConfigDocument document = ConfigDocument::parse("family = \"gabor_energy\"", "test", {},
                                                    std::make_shared<SharedReads>());
    ConfigSection section = document.root();
    std::vector<Twin> twins;
    twins.push_back(make_twin(section));
    return twins;
}

TEST(GpuTwins, TheAnalyticTwinAnswersAsOnTheHost)
{
    open_gpu_library();
    const VisibleGpus gpus = visible_gpus();
    if (gpus.names.empty()) GTEST_SKIP() << gpus.why_none;
    expect_the_hosts_answers(analytic_twin);
    expect_the_same_bits_of_replayed_passes(analytic_twin);
}

TEST(GpuTwins, TheTwinsOfAllBundlesAnswerAsOnTheHost)
{
    open_gpu_library();
    const VisibleGpus gpus = visible_gpus();
    if (gpus.names.empty()) GTEST_SKIP() << gpus.why_none;
    const char* folder = std::getenv("TWINSCREEN_BUNDLES");
    if (folder == nullptr || !fs::is_directory(folder))
        GTEST_SKIP() << "TWINSCREEN_BUNDLES names no folder of bundles";
    for (const auto& entry : fs::directory_iterator(folder)) {
        if (!fs::exists(entry.path() / "twin.toml")) continue;
        SCOPED_TRACE(entry.path().string());
        const auto twin_of_bundle = [&entry] {
            std::vector<Twin> twins;
            twins.push_back(load_bundle(entry.path()));
            return twins;
        };
        expect_the_hosts_answers(twin_of_bundle);
        expect_the_same_bits_of_replayed_passes(twin_of_bundle);
    }
}

}  // namespace
}  // namespace twinscreen
