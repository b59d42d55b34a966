#include "kernels/placed_folds.hpp"

#include "kernels/fold_bodies.hpp"
#include "kernels/launch.hpp"
#include "kernels/response_rows.hpp"

namespace twinscreen {
namespace {

std::int64_t as_extent(std::size_t count) { return static_cast<std::int64_t>(count); }

FoldedRows folded_rows(ConstBatch rows, std::int64_t columns)
{
    TWINSCREEN_REQUIRE(rows.shape.rank == 2 && rows.shape.extent[1] == columns, internal,
                       "rows have shape {}, expected [rows, {}]", rows.shape.text(), columns);
    return {values_of<float>(rows).data(), rows.shape.extent[0], columns};
}

}  // namespace

FoldState::FoldState(Executor& executor, ElementType type, const Shape& shape)
    : executor_(&executor),
      placed_(executor, type, shape),
      on_host_(executor, type, shape, ExecutorMemory::Place::pinned),
      is_there_(executor.make_milestone())
{
}

void FoldState::clear() { twinscreen::clear(placed_.view(), *executor_); }

ConstBatch FoldState::bring()
{
    executor_->copy(on_host_.view(), placed_.view());
    is_there_->set();
    is_there_->wait();
    return on_host_.view();
}

PlacedMoments::PlacedMoments(std::size_t columns, Executor& executor)
    : executor_(&executor), sums_(executor, ElementType::f64, {6, as_extent(columns)})
{
    start();
}

void PlacedMoments::start()
{
    sums_.clear();
    rows_ = 0;
}

void PlacedMoments::add_rows(ConstBatch rows)
{
    const std::int64_t columns = sums_.view().shape.extent[1];
    const FoldedRows batch = folded_rows(rows, columns);
    launch(*executor_, columns,
           AddMoments{batch, static_cast<double>(rows_), values_of<double>(sums_.view()).data()});
    rows_ += static_cast<std::uint64_t>(batch.rows);
}

MomentTable PlacedMoments::result() { return moments_of_sums(sums_.bring(), rows_); }

PlacedSelection::PlacedSelection(Extreme extreme, std::size_t columns, std::size_t kept,
                                 Executor& executor)
    : executor_(&executor),
      extreme_(extreme),
      columns_(columns),
      kept_(kept),
      lists_(executor, ElementType::u8, {as_extent(columns * kept * sizeof(Ranked))}),
      filled_(executor, ElementType::u8, {as_extent(columns * sizeof(std::uint32_t))})
{
    start();
}

void PlacedSelection::start() { filled_.clear(); }

void PlacedSelection::add_rows(ConstBatch rows, std::uint64_t first_item)
{
    const FoldedRows batch = folded_rows(rows, as_extent(columns_));
    launch(*executor_, batch.columns,
           SelectRows{batch, first_item, extreme_ == Extreme::largest ? 1.0F : -1.0F, kept_,
                      static_cast<Ranked*>(lists_.view().data),
                      static_cast<std::uint32_t*>(filled_.view().data)});
}

Selection PlacedSelection::result()
{
    const auto* lists = static_cast<const Ranked*>(lists_.bring().data);
    const auto* filled = static_cast<const std::uint32_t*>(filled_.bring().data);
    return Selection::from_lists(extreme_, {lists, columns_ * kept_}, {filled, columns_}, kept_);
}

PlacedHistogram::PlacedHistogram(const std::vector<float>& edges, std::size_t columns,
                                 Executor& executor)
    : executor_(&executor),
      empty_(edges, columns),
      edges_(edges),
      counts_(executor, ElementType::u64, empty_.counts().shape)
{
    start();
}

void PlacedHistogram::start() { counts_.clear(); }

void PlacedHistogram::add_rows(ConstBatch rows)
{
    const FoldedRows batch = folded_rows(rows, as_extent(empty_.columns()));
    HistogramBins bins = empty_.bins();
    bins.edges = values_of<float>(edges_.on(*executor_)).data();
    launch(*executor_, batch.columns,
           CountRows{batch, bins, values_of<std::uint64_t>(counts_.view()).data()});
}

Histogram PlacedHistogram::result()
{
    Histogram counted = empty_;
    counted.merge(counts_.bring());
    return counted;
}

}  // namespace twinscreen
