#include "experiments/fit_readout/fit_moments.hpp"

#include <algorithm>

namespace twinscreen {
namespace {

/// Columns of each set, in this order; behind those of all sets come the ones that sets share.
enum SetColumn : std::uint32_t { products, cross, feature_sum, per_set };
enum SharedColumn : std::uint32_t { response_sum, response_squares, images };

ColumnId set_column(std::size_t set, SetColumn which)
{
    return ColumnId{static_cast<std::uint32_t>(set) * per_set + which};
}

OwnedBatch row_of(std::span<const double> values, const Shape& shape)
{
    OwnedBatch row(ElementType::f64, shape.with_rows(1));
    std::ranges::copy(values, row.values<double>().begin());
    return row;
}

Axis axis(const std::string& name, std::size_t extent)
{
    return {name, static_cast<std::int64_t>(extent), ""};
}

/// The responses of some units and, behind them, their shuffled ones.
void copy_units(std::span<const double> from, std::size_t all, std::size_t first, std::size_t units,
                std::span<double> to)
{
    for (std::size_t row = 0; row * 2 * all < from.size(); ++row)
        for (std::size_t half = 0; half < 2; ++half)
            std::ranges::copy(from.subspan((2 * row + half) * all + first, units),
                              to.begin() + static_cast<std::ptrdiff_t>((2 * row + half) * units));
}

}  // namespace

std::vector<float> FeatureRows::read(std::span<const std::uint64_t> items) const
{
    std::vector<float> rows;
    rows.reserve(items.size() * features_);
    for (std::size_t at = 0; at < items.size();) {
        std::size_t end = at + 1;  // of a run of neighbours
        while (end < items.size() && items[end] == items[end - 1] + 1) ++end;
        const OwnedBatch run = history_.read(stage_, column_, items[at], end - at);
        const std::span<const float> values = run.values<float>();
        rows.insert(rows.end(), values.begin(), values.end());
        at = end;
    }
    return rows;
}

MomentStage::MomentStage(const MomentInputs& inputs) : inputs_(inputs)
{
    std::size_t widest = 1;
    for (const FeatureSet& set : inputs.sets) widest = std::max(widest, set.columns.size());
    std::uint64_t largest = 1;
    for (const auto& group : inputs.split.groups)
        largest = std::max<std::uint64_t>(largest, group.size());
    // Sums take at most a quarter of the room of the features that they are taken of.
    block_images_ = std::max<std::uint64_t>(4096, 4 * widest);
    blocks_ = (largest + block_images_ - 1) / block_images_;
}

Plan MomentStage::plan(const std::string& stage, std::uint32_t threads) const
{
    Plan plan;
    plan.stage = stage;
    plan.items = inputs_.split.groups.size() * blocks_;
    plan.threads_per_rank = threads;
    return plan;
}

std::vector<ColumnSpec> MomentStage::columns() const
{
    std::vector<ColumnSpec> columns;
    const auto add = [&](std::string name, std::vector<Axis> row, std::string text) {
        columns.push_back({std::move(name), Domain::shard, ElementType::f64, std::move(row), "",
                           std::move(text)});
    };
    const Axis response = axis("response", responses());
    for (std::size_t set = 0; set < inputs_.sets.size(); ++set) {
        const std::size_t features = inputs_.sets[set].columns.size();
        const std::string name = fmt::format("set_{}", set);
        add(name + "_products", {axis("pair_of_" + name, features * (features + 1) / 2)},
            "sums of products of two features, on and above the diagonal");
        add(name + "_cross", {axis("feature_of_" + name, features), response},
            "sums of products of features and responses (recorded, then shuffled)");
        add(name + "_sum", {axis("feature_of_" + name, features)}, "sums of features");
    }
    add("response_sum", {response}, "sums of responses (recorded, then shuffled)");
    add("response_squares", {response}, "sums of squared responses");
    add("images", {}, "images summed over");
    return columns;
}

std::span<const std::uint64_t> MomentStage::block_of(std::uint64_t shard) const
{
    const std::span<const std::uint64_t> group = inputs_.split.groups[shard / blocks_];
    const std::uint64_t first =
        std::min<std::uint64_t>(shard % blocks_ * block_images_, group.size());
    return group.subspan(first, std::min<std::uint64_t>(block_images_, group.size() - first));
}

std::vector<double> MomentStage::references_of(const FeatureSet& set) const
{
    std::vector<double> references;
    for (const std::uint32_t column : set.columns) references.push_back(inputs_.x0[column]);
    return references;
}

void MomentStage::add_images(std::span<const std::uint64_t> items,
                             std::vector<LinearSums>& sums) const
{
    const std::vector<float> features = inputs_.features.read(items);
    std::vector<double> answers;
    for (const std::uint64_t item : items) {
        const auto place = static_cast<std::size_t>(std::ranges::lower_bound(inputs_.fitted, item) -
                                                    inputs_.fitted.begin());
        const auto row = inputs_.responses.subspan(place * responses(), responses());
        answers.insert(answers.end(), row.begin(), row.end());
    }
    for (std::size_t set = 0; set < sums.size(); ++set) {
        std::vector<double> x = gathered(inputs_.sets[set], features, inputs_.features.features());
        std::vector<double> y = answers;
        sums[set].add(x, y);
    }
}

void MomentStage::run(const Shard& shard, const ShardTools& tools) const
{
    constexpr std::size_t images_at_once = 512;
    std::vector<LinearSums> sums;
    for (const FeatureSet& set : inputs_.sets)
        sums.emplace_back(references_of(set),
                          std::vector<double>(inputs_.y0.begin(), inputs_.y0.end()));
    const auto items = block_of(index_of(shard.id));
    for (std::size_t first = 0; first < items.size(); first += images_at_once) {
        tools.check_stop();
        add_images(items.subspan(first, std::min(images_at_once, items.size() - first)), sums);
    }
    const auto extent = [](std::size_t count) { return static_cast<std::int64_t>(count); };
    for (std::size_t set = 0; set < sums.size(); ++set) {
        const LinearSums& of = sums[set];
        const std::vector<double> packed = of.packed_xx();
        tools.write(set_column(set, products), row_of(packed, {extent(packed.size())}));
        tools.write(set_column(set, cross),
                    row_of(of.xy, {extent(of.features), extent(of.responses)}));
        tools.write(set_column(set, feature_sum), row_of(of.x, {extent(of.features)}));
    }
    const LinearSums& any = sums.front();
    const std::vector<double> count{any.images};
    const auto shared = static_cast<std::uint32_t>(sums.size()) * per_set;
    tools.write(ColumnId{shared + response_sum}, row_of(any.y, {extent(any.responses)}));
    tools.write(ColumnId{shared + response_squares}, row_of(any.yy, {extent(any.responses)}));
    tools.write(ColumnId{shared + images}, row_of(count, {}));
}

LinearSums MomentStage::load(const StageHistory& history, const std::string& stage, std::size_t set,
                             std::size_t group, std::size_t first_unit, std::size_t units) const
{
    const std::size_t all = responses() / 2;
    const auto shared = static_cast<std::uint32_t>(inputs_.sets.size()) * per_set;
    std::vector<double> y0(2 * units);
    copy_units(inputs_.y0, all, first_unit, units, y0);
    LinearSums total(references_of(inputs_.sets[set]), y0);
    LinearSums part = total;
    for (std::uint64_t shard = group * blocks_; shard < (group + 1) * blocks_; ++shard) {
        const auto read = [&](ColumnId column) { return history.read(stage, column, shard, 1); };
        part.unpack_xx(read(set_column(set, products)).values<double>());
        std::ranges::copy(read(set_column(set, feature_sum)).values<double>(), part.x.begin());
        copy_units(read(set_column(set, cross)).values<double>(), all, first_unit, units, part.xy);
        copy_units(read(ColumnId{shared + response_sum}).values<double>(), all, first_unit, units,
                   part.y);
        copy_units(read(ColumnId{shared + response_squares}).values<double>(), all, first_unit,
                   units, part.yy);
        part.images = read(ColumnId{shared + images}).values<double>()[0];
        total.merge(part);
    }
    return total;
}

double MomentStage::memory_bytes() const
{
    double values = 0.0;
    for (const FeatureSet& set : inputs_.sets) {
        const auto features = static_cast<double>(set.columns.size());
        values += features * (features + static_cast<double>(responses()));
    }
    return values * sizeof(double);
}

}  // namespace twinscreen
