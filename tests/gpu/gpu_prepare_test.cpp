#include <cstring>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "engine/device/executor_memory.hpp"
#include "engine/device/gpus.hpp"
#include "engine/run/prepare_batch.hpp"
#include "tests/support/test_pictures.hpp"

namespace twinscreen {
namespace {

using Fit = InputTransform::Fit;
using test::picture_of;

/// Pictures of all sizes that the canvas takes, drawings as finished rows, a row of no picture.
InputBatch batch_for(const InputTransform& canvas, Executor& executor)
{
    std::vector<Picture> pictures;
    for (const auto& [height, width] : test::sizes_for(canvas))
        for (const int channels : {1, 3}) {
            pictures.push_back(picture_of<std::uint8_t>(height, width, channels));
            pictures.push_back(picture_of<float>(height, width, channels));
        }
    InputBatch batch;
    const auto rows = static_cast<std::int64_t>(pictures.size());
    batch.pictures.emplace(executor, std::vector<InputTransform>{canvas}, rows + 1,
                           std::size_t{1} << 30U);
    for (std::int64_t row = 0; row < rows; ++row)
        batch.pictures->add(row, 0, 1, pictures[static_cast<std::size_t>(row)]);
    return batch;
}

/// The batch is made in the executor's own pinned memory.
std::vector<float> inputs_made_by(Executor& executor, const InputTransform& canvas)
{
    const InputBatch batch = batch_for(canvas, executor);
    const Shape shape = canvas.row_shape().with_rows(batch.pictures->rows());
    const ExecutorMemory made(executor, ElementType::f32, shape);
    const ExecutorMemory seen(executor, ElementType::f32, shape, ExecutorMemory::Place::pinned);
    const std::vector<InputTransform> canvases{canvas};
    const std::vector<Batch> inputs{made.view()};

    BatchPreparation preparation(executor);
    preparation.prepare(batch, canvases, inputs);
    executor.copy(seen.view(), made.view());
    executor.synchronize();

    const auto values = values_of<float>(seen.view());
    return {values.begin(), values.end()};
}

TEST(GpuPrepareImages, MakesEveryBitOfTheHostWithEveryTransform)
{
    const VisibleGpus gpus = visible_gpus();
    if (gpus.names.empty()) GTEST_SKIP() << gpus.why_none;
    const auto host = make_host_executor();
    const auto gpu = make_gpu_executor(0);

    for (const InputTransform& canvas : test::every_transform()) {
        const std::vector<float> wanted = inputs_made_by(*host, canvas);
        const std::vector<float> found = inputs_made_by(*gpu, canvas);

        ASSERT_EQ(found.size(), wanted.size());
        EXPECT_EQ(std::memcmp(found.data(), wanted.data(), wanted.size() * sizeof(float)), 0)
            << canvas.text();
    }
}

TEST(GpuPrepareImages, DoesNotWaitForTheDevice)
{
    const VisibleGpus gpus = visible_gpus();
    if (gpus.names.empty()) GTEST_SKIP() << gpus.why_none;
    const auto gpu = make_gpu_executor(0);
    const std::vector<InputTransform> canvases{test::canvas_of(3, 12, 10, Fit::cover)};
    const InputBatch batch = batch_for(canvases[0], *gpu);
    const ExecutorMemory made(*gpu, ElementType::f32,
                              canvases[0].row_shape().with_rows(batch.pictures->rows()));
    const std::vector<Batch> inputs{made.view()};

    BatchPreparation preparation(*gpu);
    preparation.prepare(batch, canvases, inputs);

    EXPECT_EQ(gpu->waits(), 0U);
    gpu->synchronize();
}

TEST(GpuPrepareImages, ABatchThatTravelsBesideAnotherDoesNotDisturbIt)
{
    const VisibleGpus gpus = visible_gpus();
    if (gpus.names.empty()) GTEST_SKIP() << gpus.why_none;
    const auto gpu = make_gpu_executor(0);
    const InputTransform canvas = test::canvas_of(3, 64, 64, Fit::cover);
    const std::vector<InputTransform> canvases{canvas};
    const std::vector<float> wanted = inputs_made_by(*gpu, canvas);
    const InputBatch batch = batch_for(canvas, *gpu);
    const Shape shape = canvas.row_shape().with_rows(batch.pictures->rows());
    BatchPreparation preparation(*gpu);
    std::vector<ExecutorMemory> made;
    std::vector<ExecutorMemory> seen;
    for (int turn = 0; turn < 7; ++turn) {
        made.emplace_back(*gpu, ElementType::f32, shape);
        seen.emplace_back(*gpu, ElementType::f32, shape, ExecutorMemory::Place::pinned);
        const std::vector<Batch> inputs{made.back().view()};
        preparation.prepare(batch, canvases, inputs);
        gpu->copy(seen.back().view(), made.back().view());
    }
    gpu->synchronize();

    for (const ExecutorMemory& inputs : seen)
        EXPECT_EQ(std::memcmp(inputs.view().data, wanted.data(), wanted.size() * sizeof(float)), 0);
}

}  // namespace
}  // namespace twinscreen
