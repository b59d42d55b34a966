#include "experiments/relational_control/responses/response_stage.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

#include "engine/run/progress.hpp"
#include "engine/run/response_stream.hpp"
#include "experiments/relational_control/columns.hpp"
#include "experiments/relational_control/responses/missing_responses.hpp"
#include "kernels/pattern.hpp"

namespace twinscreen {
ResponseStage::ResponseStage(const ControlSettings& settings, const Study& study,
                             const ImportedResponses* imported)
    : settings_(settings), study_(study), imported_(imported)
{
    for (const Population& population : study.populations)
        units_.emplace_back(population.units.begin(), population.units.end());
}

StagePlan ResponseStage::plan(const CampaignInputs& inputs, const StageHistory&)
{
    StagePlan stage;
    if (imported_ == nullptr) {
        stage.forward = std::make_shared<ForwardPlan>(inputs.twins, inputs.covariates,
                                                      ForwardWants{true, false});
    } else {
        stage = plan_without_stimuli("images");
        stage.settings = {{"imported responses", imported_->identity()}};
    }
    const auto missing = [&](const char* name, Domain domain) {
        return ColumnSpec{name,
                          domain,
                          ElementType::i32,
                          {axis_of("unit", study_.columns())},
                          "",
                          "images to which the unit is NaN or infinite"};
    };
    stage.columns = {{"mean_response",
                      Domain::item,
                      ElementType::f32,
                      {axis_of("population", study_.populations.size())},
                      "",
                      "mean over the kept units that are not NaN"},
                     missing("shard_missing", Domain::shard),
                     missing("missing", Domain::stage)};
    if (settings_.patterns) add_pattern_columns(stage);
    const std::size_t item_bytes =
        sizeof(float) *
        (study_.populations.size() + (settings_.patterns ? study_.columns() : std::size_t{0}));
    stage.plan = plan_stimulus_stage(stage_name, inputs, *stage.forward, item_bytes, 0);
    if (imported_ != nullptr) {
        constexpr std::size_t shard_bytes = std::size_t{32} << 20U;
        const std::size_t row_bytes = imported_->units().rows() * sizeof(double);
        stage.plan.items = inputs.schedule.limit > 0
                               ? std::min(inputs.schedule.limit, imported_->images())
                               : imported_->images();
        stage.plan.batch_items = 1;
        stage.plan.shard_items = inputs.schedule.shard_items > 0
                                     ? inputs.schedule.shard_items
                                     : std::clamp<std::uint64_t>(shard_bytes / row_bytes, 1, 4096);
    }
    stage.tables.items = stage.plan.items;
    stage.tables.axes = {{"populations", "population", study_.population_table()},
                         {"units", "unit", study_.units}};
    if (inputs.items() > 0)
        describe_stimuli(inputs, stage.tables);
    else
        stage.tables.describe_items = number_items("image");
    stage.settings.emplace_back("populations", study_.population_digest());
    return stage;
}

void ResponseStage::add_pattern_columns(StagePlan& stage) const
{
    stage.columns.push_back({"pattern",
                             Domain::item,
                             ElementType::f32,
                             {axis_of("unit", study_.columns())},
                             "",
                             "pattern over the kept units of a population, of mean 0 and norm 1; "
                             "NaN where it is constant or a unit is NaN"});
    stage.columns.push_back({"usable",
                             Domain::item,
                             ElementType::u8,
                             {axis_of("population", study_.populations.size())},
                             "",
                             "1 where the population has a pattern"});
}

void ResponseStage::reduce(const float* responses, std::size_t width, std::size_t rows,
                           std::size_t first_row, Rows& out) const
{
    const auto missing = out.missing.values<std::int32_t>();
    for (std::size_t row = 0; row < rows; ++row)
        for (std::size_t at = 0; at < units_.size(); ++at) {
            const std::size_t to = first_row + row;
            float* pattern = settings_.patterns
                                 ? out.patterns.values<float>().data() + to * study_.columns() +
                                       study_.populations[at].first_column
                                 : nullptr;
            const PatternSummary summary =
                normalise_pattern(responses + row * width, units_[at].data(),
                                  static_cast<std::uint32_t>(units_[at].size()), pattern);
            out.means.values<float>()[to * units_.size() + at] = summary.mean;
            out.usable.values<std::uint8_t>()[to * units_.size() + at] = summary.is_usable ? 1 : 0;
            if (!summary.is_usable)
                for (std::size_t unit = 0; unit < units_[at].size(); ++unit)
                    if (!std::isfinite(responses[row * width + units_[at][unit]]))
                        ++missing[study_.populations[at].first_column + unit];
        }
}

void ResponseStage::run(const Shard& shard, ShardTools& tools)
{
    const std::int64_t rows = extent(shard.items.count);
    const Shape cells{rows, extent(units_.size())};
    Rows out{
        OwnedBatch(ElementType::f32, cells),
        OwnedBatch(ElementType::i32, {1, extent(study_.columns())}),
        OwnedBatch(ElementType::f32, {rows, settings_.patterns ? extent(study_.columns()) : 0}),
        OwnedBatch(ElementType::u8, cells)};
    std::ranges::fill(out.missing.values<std::int32_t>(), 0);
    if (imported_ != nullptr) {
        std::vector<float> raw;
        imported_->read(index_of(shard.items.first), shard.items.count, raw);
        reduce(raw.data(), imported_->units().rows(), shard.items.count, 0, out);
    } else {
        answer(tools, out);
    }
    tools.write(mean_column, std::move(out.means));
    tools.write(partial_missing_column, std::move(out.missing));
    if (!settings_.patterns) return;
    tools.write(pattern_column, std::move(out.patterns));
    tools.write(usable_column, std::move(out.usable));
}

SummaryRows ResponseStage::combine(const StageResults& results)
{
    OwnedBatch missing(ElementType::i32, Shape{extent(study_.columns())});
    const auto sums = missing.values<std::int32_t>();
    std::ranges::fill(sums, 0);
    for (std::uint64_t shard = 0; shard < results.plan().shards(); ++shard) {
        const OwnedBatch partial = results.read(partial_missing_column, shard, 1);
        std::ranges::transform(sums, partial.values<std::int32_t>(), sums.begin(), std::plus<>{});
    }
    SummaryRows summary;
    summary.emplace_back(missing_column, std::move(missing));
    return summary;
}

std::vector<std::string> ResponseStage::report(const StageResults& results, const CampaignInputs&,
                                               const std::filesystem::path&)
{
    const OwnedBatch stored = results.read(missing_column, 0, 1);
    const std::string missing = missing_units(stored.values<std::int32_t>(), study_.units);
    if (missing.empty()) return {};
    return {fmt::format("{} of {} images", missing, count_text(results.plan().items))};
}

/// The twins' responses to the shard's stimuli.
void ResponseStage::answer(ShardTools& tools, Rows& out) const
{
    const std::size_t width = tools.forward.units().rows();
    std::size_t at = 0;
    ResponseStream responses(tools.inputs, tools.forward, tools.executor);
    while (const ResponseStream::Answer* batch = responses.next()) {
        reduce(values_of<float>(batch->units).data(), width, batch->items.count, at, out);
        at += batch->items.count;
    }
}

}  // namespace twinscreen
