#include "kernels/unit_responses.hpp"

#include "kernels/launch.hpp"
#include "kernels/unit_bodies.hpp"

namespace twinscreen {
namespace {

template <class T>
const T* data_of(const ConstBatch& batch)
{
    return values_of<T>(batch).data();
}

template <class T>
void gabor_of(const GaborStage& stage, const GaborCellTable& cells, ConstBatch filters,
              Batch responses, Executor& executor)
{
    const std::int64_t rows = filters.shape.extent[0];
    const std::int64_t positions = stage.pairs / stage.pool;
    ExecutorMemory gains;
    const T* gain = nullptr;
    if (stage.is_normalised) {
        gains = ExecutorMemory(executor, element_type_of<T>(), {rows, positions});
        T* values = values_of<T>(gains.view()).data();
        launch(
            executor, rows * positions,
            GaborGains<T>{data_of<T>(filters), stage.pool, positions,
                          stage.semi_saturation * stage.semi_saturation, stage.max_rate, values});
        gain = values;
    }
    launch(executor, responses.shape.count(),
           GaborCells<T>{data_of<T>(filters), 2 * stage.pairs, gain, positions,
                         data_of<std::int32_t>(cells.pair.on(executor)),
                         data_of<std::int32_t>(cells.place.on(executor)),
                         data_of<double>(cells.cosine.on(executor)),
                         data_of<double>(cells.sine.on(executor)), responses.shape.extent[1],
                         values_of<T>(responses).data()});
}

}  // namespace

void gabor_responses(const GaborStage& stage, const GaborCellTable& cells, ConstBatch filters,
                     Batch responses, Executor& executor)
{
    if (filters.type == ElementType::f32)
        gabor_of<float>(stage, cells, filters, responses, executor);
    else
        gabor_of<double>(stage, cells, filters, responses, executor);
}

void sampled_responses(const SampledUnitTable& units, ConstBatch maps, ConstBatch shifts,
                       Batch responses, Executor& executor)
{
    const auto extent = [&maps](std::size_t axis) {
        return static_cast<std::int32_t>(maps.shape.extent[axis]);
    };
    launch(executor, responses.shape.count(),
           SampledUnits{data_of<float>(maps), extent(1), extent(2), extent(3),
                        shifts.data == nullptr ? nullptr : data_of<float>(shifts),
                        data_of<double>(units.positions.on(executor)),
                        data_of<float>(units.features.on(executor)),
                        data_of<float>(units.bias.on(executor)), responses.shape.extent[1],
                        values_of<float>(responses).data()});
}

ProjectionByOutput::ProjectionByOutput(const SparseProjection& projection)
    : inputs_(projection.inputs()), outputs_(projection.outputs())
{
    const std::span<const std::uint32_t> targets = projection.targets();
    TWINSCREEN_REQUIRE(targets.size() < (std::size_t{1} << 31U), data,
                       "a projection of {} values does not fit a GPU's 32-bit lists; pool the tap "
                       "(tap_pool) before it is projected",
                       inputs_);
    std::vector<std::int32_t> first(static_cast<std::size_t>(outputs_) + 1, 0);
    for (const std::uint32_t target : targets) ++first[(target >> 1U) + 1];
    for (std::size_t output = 1; output < first.size(); ++output)
        first[output] += first[output - 1];
    std::vector<std::int32_t> next(first.begin(), first.end() - 1);
    std::vector<std::int32_t> source(targets.size());
    for (std::size_t at = 0; at < targets.size(); ++at) {
        const auto input = static_cast<std::uint32_t>(at / SparseProjection::targets_per_input);
        source[static_cast<std::size_t>(next[targets[at] >> 1U]++)] =
            static_cast<std::int32_t>(2 * input + (targets[at] & 1U));
    }
    first_ = PlacedArray<std::int32_t>(std::move(first));
    source_ = PlacedArray<std::int32_t>(std::move(source));
}

void ProjectionByOutput::project(ConstBatch values, Batch projected, Executor& executor) const
{
    const auto in_type = [&]<class T>(T) {
        launch(executor, projected.shape.count(),
               ProjectedRows<T>{
                   data_of<T>(values), inputs_, data_of<std::int32_t>(first_.on(executor)),
                   data_of<std::int32_t>(source_.on(executor)), SparseProjection::weight, outputs_,
                   values_of<T>(projected).data()});
    };
    if (values.type == ElementType::f32)
        in_type(float{});
    else
        in_type(double{});
}

}  // namespace twinscreen
