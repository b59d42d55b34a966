#include "experiments/relational_control/multivariate/device_similarity.hpp"

#include <algorithm>
#include <cstring>
#include <functional>

#include "engine/comm/device_collectives.hpp"
#include "engine/twin/torch_device.hpp"
#include "experiments/relational_control/columns.hpp"
#include "experiments/relational_control/search/device_memory.hpp"
#include "kernels/response_rows.hpp"

namespace twinscreen {
namespace {

/// Of patterns and room beside them, and half of the device. Not what is free: bits must not depend
/// on who else uses the GPU.
constexpr std::uint64_t most_bytes = std::uint64_t{16} << 30U;

/// Patterns of one population in a table of at least as many rows as there are items.
using TakeOver = std::function<ExecutorMemory(const Population&)>;

void copy_rows(const Patterns& patterns, const Population& population, std::int64_t first,
               std::int64_t count, float* to)
{
    std::vector<float> room;
    const FloatRows from = patterns.rows(population, static_cast<std::size_t>(first),
                                         static_cast<std::size_t>(count), room);
    for (std::size_t row = 0; row < from.rows; ++row)
        std::copy_n(from.first + row * from.stride, from.width, to + row * from.width);
}

ExecutorMemory taken_alone(const Patterns& patterns, const Population& population,
                           Executor& executor)
{
    return uploaded_rows(
        extent(patterns.items()), extent(population.units.size()),
        [&](std::int64_t first, std::int64_t count, float* to) {
            copy_rows(patterns, population, first, count, to);
        },
        executor);
}

/// Each rank takes as many rows over; those behind the last item are zeros.
ExecutorMemory taken_together(const Patterns& patterns, const Population& population,
                              Communicator& communicator, DeviceCollectives& collectives,
                              Executor& executor)
{
    const std::int64_t items = extent(patterns.items()), width = extent(population.units.size());
    const std::int64_t ranks = communicator.size(), part = (items + ranks - 1) / ranks;
    const std::int64_t begin = part * communicator.rank();
    const ExecutorMemory mine = uploaded_rows(
        part, width,
        [&](std::int64_t first, std::int64_t count, float* to) {
            const std::int64_t there = std::clamp(items - begin - first, std::int64_t{0}, count);
            if (there > 0) copy_rows(patterns, population, begin + first, there, to);
            std::fill(to + there * width, to + count * width, 0.0F);
        },
        executor);
    ExecutorMemory all(executor, ElementType::f32, {part * ranks, width});
    collectives.all_gather(mine.view(), all.view(), executor);
    return all;
}

/// Patterns of all populations, and room for the rows of a shard.
class KeptPatterns final : public Kept {
public:
    KeptPatterns(const Study& study, const Patterns& patterns, const SimilarityViews& wanted,
                 std::uint64_t rows, Executor& executor, const TakeOver& take_over)
        : executor_(executor), of_(patterns.values), rows_(rows)
    {
        for (const Population& population : study.populations)
            populations_.push_back(take_over(population));
        const Shape products{extent(rows * patterns.items())};
        const Shape view{extent(rows), extent(patterns.items()), extent(study.areas.size())};
        products_ = ExecutorMemory(executor, ElementType::f32, products);
        on_host_ = ExecutorMemory(executor, ElementType::f32, view, ExecutorMemory::Place::pinned);
        for (std::size_t at = 0; at < wanted.views.size(); ++at)
            views_.emplace_back(executor, ElementType::f32, view);
        is_there_ = executor.make_milestone();
    }

    bool serves(const Patterns& patterns, std::uint64_t rows) const noexcept
    {
        return of_ == patterns.values && rows <= rows_;
    }

    void compute(const SimilarityViews& wanted, ItemRange range, std::vector<OwnedBatch>& views)
    {
        const auto first = extent(index_of(range.first)), rows = extent(range.count);
        const std::int64_t columns = first + rows;
        for (const ExecutorMemory& view : views_) clear(view.view(), executor_);
        for (std::size_t at = 0; at < populations_.size(); ++at) {
            const Batch patterns = populations_[at].view();
            const Batch products{
                products_.view().data, ElementType::f32, {rows, columns}, products_.view().space};
            row_products(rows_of(patterns, first, rows), rows_of(patterns, 0, columns), products,
                         executor_);
            for (std::size_t view = 0; view < views_.size(); ++view)
                add_population(wanted.views[view], at, products, views_[view].view());
        }
        for (std::size_t view = 0; view < views_.size(); ++view)
            bring(views_[view].view(), rows, views[view].view());
    }

private:
    void add_population(const SimilarityView& view, std::size_t population, const Batch& products,
                        const Batch& sums)
    {
        for (std::size_t area = 0; area < view.areas.size(); ++area)
            for (const PopulationShare& part : view.areas[area])
                if (part.population == population)
                    add_shares(products, static_cast<float>(part.weight), sums, extent(area),
                               executor_);
    }

    void bring(const Batch& sums, std::int64_t rows, const Batch& to)
    {
        const Batch pinned = rows_of(on_host_.view(), 0, rows);
        executor_.copy(pinned, rows_of(sums, 0, rows));
        is_there_->set();
        is_there_->wait();
        std::memcpy(to.data, pinned.data, bytes_of(pinned));
    }

    Executor& executor_;
    const float* of_;
    std::uint64_t rows_;
    std::vector<ExecutorMemory> populations_;  // [at least items, units] of each
    ExecutorMemory products_;                  // [rows, items], of one population
    ExecutorMemory on_host_;                   // [rows, items, areas]
    std::vector<ExecutorMemory> views_;        // [rows, items, areas] of each
    std::unique_ptr<Milestone> is_there_;
};

std::uint64_t bytes_of_patterns(const Study& study, const Patterns& patterns,
                                const SimilarityViews& wanted, std::uint64_t rows)
{
    const std::uint64_t items = patterns.items();
    const std::uint64_t of_item =
        patterns.columns + rows * (1 + wanted.views.size() * study.areas.size());
    return items * of_item * sizeof(float);
}

KeptPatterns& kept_patterns(Executor& executor, const Study& study, const Patterns& patterns,
                            const SimilarityViews& wanted, std::uint64_t rows)
{
    auto* old = dynamic_cast<KeptPatterns*>(executor.kept().get());
    if (old != nullptr && old->serves(patterns, rows)) return *old;
    executor.kept().reset();
    auto kept = std::make_unique<KeptPatterns>(
        study, patterns, wanted, rows, executor,
        [&](const Population& population) { return taken_alone(patterns, population, executor); });
    KeptPatterns& made = *kept;
    executor.kept() = std::move(kept);
    return made;
}

/// Whether they go there: a matter of sizes alone.
bool fits(const Executor& executor, const Study& study, const Patterns& patterns,
          const SimilarityViews& wanted, std::uint64_t rows)
{
    return executor.wants_whole_batches() &&
           bytes_of_patterns(study, patterns, wanted, rows) <=
               std::min<std::uint64_t>(most_bytes, executor.total_bytes() / 2);
}

}  // namespace

void bring_patterns(Communicator& communicator, Executor& executor, const Study& study,
                    const Patterns& patterns, const SimilarityViews& wanted,
                    std::uint64_t most_rows)
{
    if (communicator.size() == 1 || !fits(executor, study, patterns, wanted, most_rows)) return;
    executor.kept().reset();
    const auto collectives = make_device_collectives(communicator, executor);
    executor.kept() = std::make_unique<KeptPatterns>(
        study, patterns, wanted, most_rows, executor, [&](const Population& population) {
            return taken_together(patterns, population, communicator, *collectives, executor);
        });
}

bool similarities_on(Executor& executor, const Study& study, const Patterns& patterns,
                     const SimilarityViews& wanted, ItemRange range, std::vector<OwnedBatch>& views)
{
    if (!fits(executor, study, patterns, wanted, range.count)) return false;
    with_device_errors(executor, [&] {
        kept_patterns(executor, study, patterns, wanted, range.count).compute(wanted, range, views);
    });
    return true;
}

}  // namespace twinscreen
