#include "experiments/screen_measures.hpp"

#include <algorithm>
#include <limits>
#include <numeric>
#include <optional>

#include "engine/config/row_filter.hpp"
#include "kernels/half.hpp"
#include "kernels/histogram.hpp"
#include "kernels/moments.hpp"
#include "kernels/placed_folds.hpp"
#include "kernels/select.hpp"

namespace twinscreen {
namespace {

Axis unit_axis(const ForwardPlan& forward)
{
    return {"unit", static_cast<std::int64_t>(forward.units().rows()), ""};
}

Axis area_axis(const ForwardPlan& forward)
{
    return {"area", static_cast<std::int64_t>(forward.areas().rows()), ""};
}

/// Appends a column and gives its id.
ColumnId add_column(std::vector<ColumnSpec>& columns, ColumnSpec column)
{
    columns.push_back(std::move(column));
    return ColumnId{static_cast<std::uint32_t>(columns.size() - 1)};
}

template <class T>
OwnedBatch copy_of(const std::vector<T>& values, const Shape& shape)
{
    OwnedBatch result(element_type_of<T>(), shape);
    std::ranges::copy(values, result.template values<T>().begin());
    return result;
}

/// What a measure gathers of a shard: on the host, or where whole batches are computed.
template <class OnHost, class Placed>
class Running {
public:
    /// Empty. Memory of a device is kept from shard to shard.
    void start(const Executor& executor, const auto& make_on_host, const auto& make_placed)
    {
        if (!executor.wants_whole_batches())
            on_host_.emplace(make_on_host());
        else if (placed_)
            placed_->start();
        else
            placed_.emplace(make_placed());
    }
    auto with(const auto& work) { return placed_ ? work(*placed_) : work(*on_host_); }

private:
    std::optional<OnHost> on_host_;
    std::optional<Placed> placed_;
};

class UnitMeasure final : public Measure {
public:
    UnitMeasure(ElementType type, std::string filter) : type_(type), filter_(std::move(filter)) {}

    ForwardWants wants() const override { return {true, false}; }

    void check(const Table& units) const override
    {
        TWINSCREEN_REQUIRE(!filter_rows(units, filter_).empty(), config,
                           "\"{}\" keeps none of the {} units", filter_, units.rows());
    }

    void declare(const ForwardPlan& forward, std::vector<ColumnSpec>& columns,
                 std::vector<StageTables::AxisTable>& axes) override
    {
        kept_ = filter_rows(forward.units(), filter_);
        all_ = kept_.size() == forward.units().rows();
        Axis axis = unit_axis(forward);
        if (!all_) {
            axis = {"stored_unit", static_cast<std::int64_t>(kept_.size()), ""};
            axes.push_back({"stored_units", axis.name, forward.units().select(kept_)});
        }
        const char* note = type_ == ElementType::f16
                               ? "response of each unit, rounded to float16 (relative error at "
                                 "most 2^-11 between 6.1e-5 and 65504)"
                               : "response of each unit";
        column_ = add_column(
            columns, {"response", Domain::item, type_, {axis}, forward.response_unit(), note});
    }

    void start(const Shard& shard, Executor&) override
    {
        first_ = shard.items.first;
        rows_ = OwnedBatch(type_, {static_cast<std::int64_t>(shard.items.count),
                                   static_cast<std::int64_t>(kept_.size())});
    }

    void add(const ResponseRows& rows) override
    {
        const std::span<const float> from = values_of<float>(rows.units);
        const auto units = static_cast<std::size_t>(rows.units.shape.extent[1]);
        std::size_t at = (index_of(rows.items.first) - index_of(first_)) * kept_.size();
        if (all_ && type_ == ElementType::f32) {
            std::ranges::copy(from,
                              rows_.values<float>().begin() + static_cast<std::ptrdiff_t>(at));
            return;
        }
        auto* halves = static_cast<std::uint16_t*>(rows_.view().data);
        auto* floats = static_cast<float*>(rows_.view().data);
        for (std::size_t row = 0; row < rows.items.count; ++row)
            for (const std::size_t unit : kept_) {
                const float value = from[row * units + unit];
                if (type_ == ElementType::f16)
                    halves[at] = to_half(value);
                else
                    floats[at] = value;
                ++at;
            }
    }

    void finish(const std::function<void(ColumnId, OwnedBatch)>& write) override
    {
        write(column_, std::move(rows_));
    }

private:
    ElementType type_;
    std::string filter_;
    std::vector<std::size_t> kept_;
    bool all_ = false;
    ColumnId column_{};
    ItemId first_{};
    OwnedBatch rows_;
};

class AreaMeanMeasure final : public Measure {
public:
    ForwardWants wants() const override { return {false, true}; }

    void declare(const ForwardPlan& forward, std::vector<ColumnSpec>& columns,
                 std::vector<StageTables::AxisTable>&) override
    {
        areas_ = forward.areas().rows();
        column_ = add_column(columns, {"area_mean",
                                       Domain::item,
                                       ElementType::f32,
                                       {area_axis(forward)},
                                       forward.response_unit(),
                                       "mean response over the kept units of each area"});
    }

    void start(const Shard& shard, Executor&) override
    {
        first_ = shard.items.first;
        rows_ = OwnedBatch(ElementType::f32, {static_cast<std::int64_t>(shard.items.count),
                                              static_cast<std::int64_t>(areas_)});
    }

    void add(const ResponseRows& rows) override
    {
        const std::size_t at = (index_of(rows.items.first) - index_of(first_)) * areas_;
        std::ranges::copy(values_of<float>(rows.areas),
                          rows_.values<float>().begin() + static_cast<std::ptrdiff_t>(at));
    }

    void finish(const std::function<void(ColumnId, OwnedBatch)>& write) override
    {
        write(column_, std::move(rows_));
    }

private:
    std::size_t areas_ = 0;
    ColumnId column_{};
    ItemId first_{};
    OwnedBatch rows_;
};

class MomentMeasure final : public Measure {
public:
    ForwardWants wants() const override { return {true, false}; }

    void declare(const ForwardPlan& forward, std::vector<ColumnSpec>& columns,
                 std::vector<StageTables::AxisTable>&) override
    {
        units_ = forward.units().rows();
        const Axis unit = unit_axis(forward);
        partial_ = add_column(columns, {"shard_moments",
                                        Domain::shard,
                                        ElementType::f64,
                                        {{"moment", 5, ""}, unit},
                                        "",
                                        "count, mean, and sums of the 2nd, 3rd and 4th powers of "
                                        "the deviations, of the items of one shard"});
        const auto summary = [&](const char* name, const std::string& measured_in,
                                 const char* text) {
            return add_column(columns,
                              {name, Domain::stage, ElementType::f64, {unit}, measured_in, text});
        };
        const std::string response = forward.response_unit();
        const std::string squared = response.empty() ? "" : fmt::format("({})^2", response);
        count_ = summary("response_count", "", "items with a response");
        mean_ = summary("response_mean", response, "mean response over items");
        variance_ = summary("response_variance", squared, "variance over items, divisor count - 1");
        skewness_ = summary("response_skewness", "", "skewness over items (g1)");
        sparseness_ = summary("lifetime_sparseness", "",
                              "lifetime sparseness over items (Vinje & Gallant 2000); in 0..1 for "
                              "responses that are never negative");
    }

    bool folds() const override { return true; }
    void start(const Shard&, Executor& executor) override
    {
        running_.start(
            executor, [&] { return MomentAccumulator(units_); },
            [&] { return PlacedMoments(units_, executor); });
    }
    void add(const ResponseRows& rows) override
    {
        running_.with([&](auto& moments) { moments.add_rows(rows.units); });
    }

    void finish(const std::function<void(ColumnId, OwnedBatch)>& write) override
    {
        const MomentTable moments = running_.with([](auto& running) { return running.result(); });
        write(partial_, copy_of(moments.planes(), {1, 5, static_cast<std::int64_t>(units_)}));
    }

    void combine(const StageResults& results, SummaryRows& summary) override
    {
        MomentTable total(units_);
        for (std::uint64_t shard = 0; shard < results.plan().shards(); ++shard) {
            const OwnedBatch planes = results.read(partial_, shard, 1);
            total.merge(MomentTable::from_planes(
                {planes.view().data, ElementType::f64, {5, static_cast<std::int64_t>(units_)}}));
        }
        const auto put = [&](ColumnId column, auto&& value_of) {
            std::vector<double> values(units_);
            for (std::size_t unit = 0; unit < units_; ++unit) values[unit] = value_of(unit);
            summary.emplace_back(column, copy_of(values, {static_cast<std::int64_t>(units_)}));
        };
        put(count_, [&](std::size_t unit) { return total.count[unit]; });
        put(mean_, [&](std::size_t unit) { return total.mean[unit]; });
        put(variance_, [&](std::size_t unit) { return total.variance(unit); });
        put(skewness_, [&](std::size_t unit) { return total.skewness(unit); });
        put(sparseness_, [&](std::size_t unit) { return total.lifetime_sparseness(unit); });
    }

private:
    std::size_t units_ = 0;
    ColumnId partial_{}, count_{}, mean_{}, variance_{}, skewness_{}, sparseness_{};
    Running<MomentAccumulator, PlacedMoments> running_;
};

/// Both ends of the ranking; the four columns of each end are value and item, partial and final.
class TopMeasure final : public Measure {
public:
    TopMeasure(RankedOver over, std::size_t kept) : over_(over), kept_(kept) {}

    ForwardWants wants() const override
    {
        return {over_ == RankedOver::units, over_ == RankedOver::areas};
    }

    void declare(const ForwardPlan& forward, std::vector<ColumnSpec>& columns,
                 std::vector<StageTables::AxisTable>&) override
    {
        const Axis who = over_ == RankedOver::areas ? area_axis(forward) : unit_axis(forward);
        rows_ = static_cast<std::size_t>(who.extent);
        const std::string unit = forward.response_unit();
        const std::vector<Axis> axes{who, {"place", static_cast<std::int64_t>(kept_), ""}};
        for (End& end : ends_) {
            const std::string name =
                fmt::format("{}_{}", who.name, end.extreme == Extreme::largest ? "top" : "bottom");
            const std::string text =
                fmt::format("{} responses of each {}, best first",
                            end.extreme == Extreme::largest ? "largest" : "smallest", who.name);
            end.partial_value =
                add_column(columns, {"shard_" + name + "_value", Domain::shard, ElementType::f32,
                                     axes, unit, text + ", of one shard"});
            end.partial_item = add_column(columns, {"shard_" + name + "_item", Domain::shard,
                                                    ElementType::u64, axes, "", "their items"});
            end.value = add_column(
                columns, {name + "_value", Domain::stage, ElementType::f32, axes, unit, text});
            end.item = add_column(
                columns,
                {name + "_item", Domain::stage, ElementType::u64, axes, "",
                 "item numbers of " + name + "_value; 2^64 - 1 where there are fewer items"});
        }
    }

    bool folds() const override { return true; }
    void start(const Shard&, Executor& executor) override
    {
        for (End& end : ends_)
            end.running.start(
                executor, [&] { return Selection(end.extreme, rows_, kept_); },
                [&] { return PlacedSelection(end.extreme, rows_, kept_, executor); });
    }

    void add(const ResponseRows& rows) override
    {
        const ConstBatch& values = over_ == RankedOver::areas ? rows.areas : rows.units;
        for (End& end : ends_)
            end.running.with(
                [&](auto& best) { best.add_rows(values, index_of(rows.items.first)); });
    }

    void finish(const std::function<void(ColumnId, OwnedBatch)>& write) override
    {
        for (End& end : ends_) {
            const Selection best = end.running.with([](auto& found) { return found.result(); });
            auto [values, items] = stored(best, shape().with_rows(1));
            write(end.partial_value, std::move(values));
            write(end.partial_item, std::move(items));
        }
    }

    void combine(const StageResults& results, SummaryRows& summary) override
    {
        for (End& end : ends_) {
            Selection total(end.extreme, rows_, kept_);
            for (std::uint64_t shard = 0; shard < results.plan().shards(); ++shard) {
                const OwnedBatch values = results.read(end.partial_value, shard, 1);
                const OwnedBatch items = results.read(end.partial_item, shard, 1);
                total.merge(Selection::load(end.extreme,
                                            {values.view().data, ElementType::f32, shape()},
                                            {items.view().data, ElementType::u64, shape()}));
            }
            auto [values, items] = stored(total, shape());
            summary.emplace_back(end.value, std::move(values));
            summary.emplace_back(end.item, std::move(items));
        }
    }

private:
    struct End {
        Extreme extreme;
        ColumnId partial_value{}, partial_item{}, value{}, item{};
        Running<Selection, PlacedSelection> running;
    };

    Shape shape() const
    {
        return {static_cast<std::int64_t>(rows_), static_cast<std::int64_t>(kept_)};
    }

    std::pair<OwnedBatch, OwnedBatch> stored(const Selection& selection, const Shape& as) const
    {
        OwnedBatch values(ElementType::f32, as);
        OwnedBatch items(ElementType::u64, as);
        selection.store({values.view().data, ElementType::f32, shape()},
                        {items.view().data, ElementType::u64, shape()});
        return {std::move(values), std::move(items)};
    }

    RankedOver over_;
    std::size_t kept_;
    std::size_t rows_ = 0;
    std::array<End, 2> ends_{End{Extreme::largest, {}, {}, {}, {}, {}},
                             End{Extreme::smallest, {}, {}, {}, {}, {}}};
};

class HistogramMeasure final : public Measure {
public:
    explicit HistogramMeasure(std::vector<float> edges) : edges_(std::move(edges)) {}

    ForwardWants wants() const override { return {true, false}; }

    void declare(const ForwardPlan& forward, std::vector<ColumnSpec>& columns,
                 std::vector<StageTables::AxisTable>& axes) override
    {
        units_ = forward.units().rows();
        const Axis bin{"bin", static_cast<std::int64_t>(edges_.size() + 1), ""};
        const std::vector<Axis> row{unit_axis(forward), bin};
        partial_ = add_column(columns, {"shard_histogram", Domain::shard, ElementType::u64, row, "",
                                        "counts of the items of one shard"});
        total_ = add_column(columns, {"histogram", Domain::stage, ElementType::u64, row, "",
                                      "items whose response lies in each bin"});
        axes.push_back({"bins", bin.name, bin_table()});
    }

    bool folds() const override { return true; }
    void start(const Shard&, Executor& executor) override
    {
        running_.start(
            executor, [&] { return Histogram(edges_, units_); },
            [&] { return PlacedHistogram(edges_, units_, executor); });
    }
    void add(const ResponseRows& rows) override
    {
        running_.with([&](auto& counts) { counts.add_rows(rows.units); });
    }

    void finish(const std::function<void(ColumnId, OwnedBatch)>& write) override
    {
        const Histogram counts = running_.with([](auto& found) { return found.result(); });
        write(partial_, copy_counts(counts, shape().with_rows(1)));
    }

    void combine(const StageResults& results, SummaryRows& summary) override
    {
        Histogram total(edges_, units_);
        for (std::uint64_t shard = 0; shard < results.plan().shards(); ++shard) {
            const OwnedBatch counts = results.read(partial_, shard, 1);
            total.merge(ConstBatch{counts.view().data, ElementType::u64, shape()});
        }
        summary.emplace_back(total_, copy_counts(total, shape()));
    }

private:
    Shape shape() const
    {
        return {static_cast<std::int64_t>(units_), static_cast<std::int64_t>(edges_.size() + 1)};
    }

    static OwnedBatch copy_counts(const Histogram& histogram, const Shape& as)
    {
        OwnedBatch result(ElementType::u64, as);
        std::ranges::copy(values_of<std::uint64_t>(histogram.counts()),
                          result.values<std::uint64_t>().begin());
        return result;
    }

    Table bin_table() const
    {
        constexpr double infinity = std::numeric_limits<double>::infinity();
        std::vector<double> low{-infinity};
        std::vector<double> high;
        for (const float edge : edges_) {
            low.push_back(static_cast<double>(edge));
            high.push_back(static_cast<double>(edge));
        }
        high.push_back(infinity);
        return {{{"low", "", std::move(low)}, {"high", "", std::move(high)}}};
    }

    std::vector<float> edges_;
    std::size_t units_ = 0;
    ColumnId partial_{}, total_{};
    Running<Histogram, PlacedHistogram> running_;
};

}  // namespace

std::unique_ptr<Measure> make_unit_measure(ElementType type, std::string filter)
{
    return std::make_unique<UnitMeasure>(type, std::move(filter));
}

std::unique_ptr<Measure> make_area_mean_measure() { return std::make_unique<AreaMeanMeasure>(); }

std::unique_ptr<Measure> make_moment_measure() { return std::make_unique<MomentMeasure>(); }

std::unique_ptr<Measure> make_top_measure(RankedOver over, std::size_t kept)
{
    return std::make_unique<TopMeasure>(over, kept);
}

std::unique_ptr<Measure> make_histogram_measure(std::vector<float> edges)
{
    return std::make_unique<HistogramMeasure>(std::move(edges));
}

}  // namespace twinscreen
