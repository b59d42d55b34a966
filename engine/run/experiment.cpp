#include "engine/run/experiment.hpp"

#include <algorithm>
#include <bit>
#include <numeric>

#include "engine/base/digest.hpp"

namespace twinscreen {

std::uint64_t CampaignInputs::items() const
{
    const std::uint64_t all = stimuli != nullptr ? stimuli->count() : 0;
    return schedule.limit > 0 ? std::min(schedule.limit, all) : all;
}

std::string stimuli_identity(const StimulusSource& stimuli)
{
    return Digest{}.add(stimuli.identity()).hex();
}

bool StageHistory::has(std::string_view stage) const
{
    return stages_.find(stage) != stages_.end();
}

const StageHistory::Stage& StageHistory::stage(std::string_view name) const
{
    const auto found = stages_.find(name);
    TWINSCREEN_REQUIRE(found != stages_.end(), internal, "stage '{}' is not finished", name);
    return found->second;
}

std::uint64_t StageHistory::items(std::string_view name) const { return stage(name).plan.items; }

OwnedBatch StageHistory::read(std::string_view name, ColumnId column, std::uint64_t first_row,
                              std::uint64_t rows) const
{
    return stage(name).sink->read(column, first_row, rows);
}

ConstBatch StageHistory::map(std::string_view name, ColumnId column) const
{
    return stage(name).sink->map(column);
}

void StageHistory::add(const Plan& plan, std::unique_ptr<ResultSink> sink, bool was_complete)
{
    stages_.emplace(plan.stage, Stage{plan, std::move(sink), !was_complete});
}

void StageHistory::verify(std::uint64_t part, std::uint64_t parts, const std::atomic<bool>& stop)
{
    for (auto& [name, stage] : stages_) {
        if (stage.is_verified) continue;
        for (std::uint64_t shard = part; shard < stage.plan.shards() && !stop.load();
             shard += parts)
            if (!stage.sink->verify(stage.plan.shard(ShardId{shard})))
                throw Error(Error::Kind::store,
                            fmt::format("{}.h5: shard {} does not match its checksum, and later "
                                        "stages are computed from it",
                                        name, shard),
                            "twinscreen verify DIR --reopen makes the next run compute it again");
        stage.is_verified = true;
    }
}

void StageHistory::close()
{
    for (auto& [name, stage] : stages_) stage.sink->close();
    stages_.clear();
}

void ExperimentRegistry::add(Entry entry)
{
    TWINSCREEN_REQUIRE(find(entry.name) == nullptr, internal, "two experiments are called '{}'",
                       entry.name);
    entries_.push_back(std::move(entry));
}

const ExperimentRegistry::Entry* ExperimentRegistry::find(std::string_view name) const noexcept
{
    for (const Entry& entry : entries_)
        if (entry.name == name) return &entry;
    return nullptr;
}

namespace {

std::uint64_t round_up(std::uint64_t value, std::uint64_t multiple)
{
    return (value + multiple - 1) / multiple * multiple;
}

/// Small enough for progress and balance, large enough that its overhead and its partial results
/// do not matter. The bounds are choices, not measurements; `[run] shard_items` overrides them.
std::uint64_t choose_shard_items(std::uint64_t items, std::uint64_t batch, double macs_per_item,
                                 std::size_t item_bytes, std::size_t partial_bytes)
{
    constexpr std::uint64_t wanted_shards = 1024;
    constexpr std::uint64_t fewest_shards = 64;
    constexpr std::uint64_t most_items = 1U << 16U;
    constexpr double most_macs = 1e11;  // a few seconds of one core
    constexpr std::size_t most_shard_bytes = std::size_t{64} << 20U;
    constexpr std::size_t most_partial_bytes = std::size_t{256} << 20U;

    std::uint64_t shard = std::max<std::uint64_t>(items / wanted_shards, 1);
    const std::uint64_t affordable_shards = std::max<std::uint64_t>(
        most_partial_bytes / std::max<std::size_t>(partial_bytes, 1), fewest_shards);
    shard = std::max(shard, items / affordable_shards);
    if (macs_per_item > 0.0)
        shard = std::min(shard, static_cast<std::uint64_t>(most_macs / macs_per_item) + 1);
    if (item_bytes > 0) shard = std::min<std::uint64_t>(shard, most_shard_bytes / item_bytes + 1);
    return round_up(std::clamp<std::uint64_t>(shard, 1, most_items), batch);
}

/// Larger batches gain nothing more on a GPU; smaller ones leave shards for many ranks.
std::uint32_t most_of_a_batch(const ScheduleSettings& schedule, std::uint64_t items)
{
    constexpr std::uint64_t fewest = 32;
    constexpr std::uint64_t most = 1024;
    constexpr std::uint64_t wanted_shards = 64;
    std::uint64_t batch = std::clamp(items / wanted_shards, fewest, most);
    if (schedule.shard_items > 0) batch = std::min(batch, schedule.shard_items);
    return static_cast<std::uint32_t>(std::bit_floor(batch));
}

/// Before it is made to fit the networks.
std::uint32_t wanted_batch(const ScheduleSettings& schedule, std::uint64_t items)
{
    constexpr std::uint32_t default_batch = 16;
    constexpr std::uint32_t default_whole_batch = 256;
    if (schedule.batch_items > 0) return schedule.batch_items;
    if (!schedule.whole_batches) return default_batch;
    return schedule.largest_batch ? most_of_a_batch(schedule, items) : default_whole_batch;
}

}  // namespace

StagePlan plan_without_stimuli(std::string items_are)
{
    StagePlan stage;
    stage.forward = std::make_shared<ForwardPlan>(
        std::span<Twin>{}, std::span<const TwinCovariates>{}, ForwardWants{false, false});
    stage.reads_stimuli = false;
    stage.items_are = std::move(items_are);
    return stage;
}

std::function<Table(ItemRange)> number_items(std::string column)
{
    return [column = std::move(column)](ItemRange items) {
        std::vector<std::int64_t> numbers(items.count);
        std::iota(numbers.begin(), numbers.end(), static_cast<std::int64_t>(index_of(items.first)));
        return Table{{{column, "", std::move(numbers)}}};
    };
}

void describe_stimuli(const CampaignInputs& inputs, StageTables& tables)
{
    constexpr std::uint64_t most_rows = 10'000'000;
    if (inputs.items() > most_rows && inputs.stimuli->drawn_for_canvas()) {
        tables.items_as_function =
            fmt::format("seed {}; {}", inputs.seed, inputs.stimuli->identity());
        return;
    }
    const StimulusSource* stimuli = inputs.stimuli;
    tables.describe_items = [stimuli](ItemRange items) { return stimuli->describe(items); };
}

Plan plan_stimulus_stage(const std::string& stage, const CampaignInputs& inputs,
                         const ForwardPlan& forward, std::size_t item_bytes,
                         std::size_t partial_bytes)
{
    constexpr double cores_of_a_gpu = 64.0;  // in the work of a shard; about right is enough
    const bool whole = inputs.schedule.whole_batches;
    Plan plan;
    plan.stage = stage;
    plan.items = inputs.items();
    plan.threads_per_rank = inputs.schedule.threads_per_rank;
    plan.batch_items = static_cast<std::uint32_t>(
        round_up(wanted_batch(inputs.schedule, plan.items), whole ? 1 : forward.batch_multiple()));
    const double macs = forward.macs_per_item() / (whole ? cores_of_a_gpu : 1.0);
    plan.shard_items =
        inputs.schedule.shard_items > 0
            ? round_up(inputs.schedule.shard_items, plan.batch_items)
            : choose_shard_items(plan.items, plan.batch_items, macs, item_bytes, partial_bytes);
    return plan;
}

}  // namespace twinscreen
