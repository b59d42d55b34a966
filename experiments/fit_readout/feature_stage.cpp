#include "experiments/fit_readout/feature_stage.hpp"

#include <algorithm>
#include <cmath>

#include "engine/base/digest.hpp"
#include "engine/twin/untrained_twin.hpp"

namespace twinscreen {
namespace {

enum Column : std::uint32_t { feature, luminance_level, picture };

ColumnId id(Column column) { return ColumnId{column}; }

void require_finite(const InputBatch& batch, std::span<const float> values, const Table& units)
{
    const std::size_t features = units.rows();
    for (std::size_t row = 0; row < batch.items.count; ++row) {
        if (batch.valid[row] == 0) continue;
        for (std::size_t unit = 0; unit < features; ++unit)
            TWINSCREEN_REQUIRE(std::isfinite(values[row * features + unit]), data,
                               "feature '{}' of twin '{}' is {} for item {}",
                               units.text("id", unit), units.text("twin", unit),
                               values[row * features + unit], index_of(batch.items.first) + row);
    }
}

}  // namespace

FeatureStage::FeatureStage(const CampaignInputs& inputs, bool untrained, bool together,
                           SharedReads& reads)
{
    add_twins(inputs, untrained, reads);
    forward_ = std::make_shared<ForwardPlan>(twins_, covariates_, ForwardWants{true, false});
    sets_ = feature_sets(forward_->units(), untrained_, together);
    for (FeatureSet& set : sets_) set.map = map_of(set);
    feature_count_ = forward_->units().rows();
}

void FeatureStage::add_twins(const CampaignInputs& inputs, bool untrained, SharedReads& reads)
{
    constexpr std::uint64_t draw = 1;
    covariates_.assign(inputs.covariates.begin(), inputs.covariates.end());
    for (const Twin& twin : inputs.twins) twins_.push_back(copy_of(twin));
    for (std::size_t twin = 0; untrained && twin < inputs.twins.size(); ++twin) {
        std::optional<Twin> drawn = untrained_twin(inputs.twins[twin], draw, reads);
        if (!drawn) continue;
        untrained_.emplace_back(drawn->spec.name, inputs.twins[twin].spec.name);
        twins_.push_back(std::move(*drawn));
        covariates_.push_back(inputs.covariates[twin]);
    }
}

/// The map that a set's features are all values of, where they are.
std::optional<MapShape> FeatureStage::map_of(const FeatureSet& set) const
{
    for (const Twin& twin : twins_) {
        if (twin.spec.name != set.twin || !twin.selection ||
            !(twin.selection->features == TapFeatures{}))
            continue;
        for (const TapSpec& tap : twin.parts.front().backbone->taps())
            if (tap.name == set.area && tap.channels_first && tap.row.rank == 3)
                return MapShape{tap.row.extent[0], tap.row.extent[1], tap.row.extent[2]};
    }
    return std::nullopt;
}

void FeatureStage::check_maps(ConfigSection& section) const
{
    for (const FeatureSet& set : sets_)
        if (!set.map && !set.is_untrained)
            section.complain("readout",
                             fmt::format("a factorised readout needs whole maps [channels, height, "
                                         "width] of a graph; {} of twin '{}' is none",
                                         set.area, set.twin),
                             "name taps that are maps, without tap_pool and tap_project");
}

StagePlan FeatureStage::plan(const CampaignInputs& inputs)
{
    StagePlan stage;
    stage.forward = forward_;
    stage.columns = {{"value",
                      Domain::item,
                      ElementType::f32,
                      {{"feature", static_cast<std::int64_t>(feature_count_), ""}},
                      "",
                      "values of all features"},
                     {"luminance",
                      Domain::item,
                      ElementType::f64,
                      {},
                      "level 0..255",
                      "mean pixel value of the picture over height, width and channels"},
                     {"picture",
                      Domain::item,
                      ElementType::u64,
                      {},
                      "",
                      "digest of the picture as the first network sees it"}};
    stage.looks_at_canvases = true;  // for the digests
    stage.tables.axes = {{"features", "feature", forward_->units()}};
    const std::size_t item_bytes = feature_count_ * sizeof(float) + 2 * sizeof(double);
    stage.plan = plan_stimulus_stage(name, inputs, *forward_, item_bytes, 0);
    stage.tables.items = stage.plan.items;
    describe_stimuli(inputs, stage.tables);
    for (const Twin& twin : twins_)
        stage.settings.emplace_back("features of " + twin.spec.name, twin.spec.digest);
    return stage;
}

void FeatureStage::run(const Shard& shard, ShardTools& tools) const
{
    const auto rows = static_cast<std::int64_t>(shard.items.count);
    OwnedBatch features(ElementType::f32, {rows, static_cast<std::int64_t>(feature_count_)});
    OwnedBatch levels(ElementType::f64, {rows});
    OwnedBatch digests(ElementType::u64, {rows});
    std::int64_t at = 0;
    while (const InputBatch* batch = tools.inputs.next()) {
        const auto count = static_cast<std::int64_t>(batch->items.count);
        const Batch mine = rows_of(features.view(), at, count);
        tools.forward.run(*batch, mine, Batch{}, tools.executor);
        require_finite(*batch, values_of<float>(mine), tools.forward.units());
        std::ranges::copy(batch->luminance, levels.values<double>().begin() + at);
        for (std::int64_t row = 0; row < count; ++row) {
            const ConstBatch seen = rows_of(batch->canvases.front().view(), row, 1);
            digests.values<std::uint64_t>()[static_cast<std::size_t>(at + row)] =
                checksum_of(std::as_bytes(values_of<float>(seen)));
        }
        at += count;
    }
    tools.write(id(feature), std::move(features));
    tools.write(id(luminance_level), std::move(levels));
    tools.write(id(picture), std::move(digests));
}

std::string FeatureStage::digest() const
{
    Digest all;
    for (const Twin& twin : twins_) all.add(twin.spec.name).add(twin.spec.digest);
    return all.hex();
}

FeatureRows FeatureStage::rows(const StageHistory& history) const
{
    return {history, name, id(feature), feature_count_};
}

OwnedBatch FeatureStage::luminance(const StageHistory& history, std::uint64_t items) const
{
    return history.read(name, id(luminance_level), 0, items);
}

OwnedBatch FeatureStage::pictures(const StageHistory& history, std::uint64_t items) const
{
    return history.read(name, id(picture), 0, items);
}

}  // namespace twinscreen
