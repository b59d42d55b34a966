#pragma once

#include <atomic>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/config/section.hpp"
#include "engine/device/device_choice.hpp"
#include "engine/run/covariates.hpp"
#include "engine/run/forward_plan.hpp"
#include "engine/run/input_reader.hpp"
#include "engine/run/shard_scratch.hpp"
#include "engine/schedule/plan.hpp"
#include "engine/store/sink.hpp"

namespace twinscreen {

/// How the campaign file asks for work to be cut; 0 means that the engine chooses.
struct ScheduleSettings {
    std::uint64_t shard_items = 0;
    std::uint32_t batch_items = 0;
    /// Where networks take whole batches: as large as fits, unless `batch_items` says it.
    bool largest_batch = false;
    std::uint32_t threads_per_rank = 1;
    std::uint64_t limit = 0;  ///< only the first items; 0: all
    DeviceKind device = DeviceKind::automatic;
    /// Networks take whole batches, as on a GPU. Of an automatic choice: what this machine has.
    bool whole_batches = false;
    Arithmetic arithmetic = Arithmetic::float32;
};

/// What a campaign is about: the same on every rank.
struct CampaignInputs {
    std::span<Twin> twins;
    std::span<const TwinCovariates> covariates;
    const StimulusSource* stimuli = nullptr;
    std::uint64_t seed = 0;
    ScheduleSettings schedule;

    /// Stimuli of the campaign, with the limit of a smoke run applied.
    std::uint64_t items() const;
};

/// What stores record of the stimuli, to notice others.
std::string stimuli_identity(const StimulusSource& stimuli);

/// One stage as an experiment wants it.
struct StagePlan {
    Plan plan;
    std::vector<ColumnSpec> columns;
    StageTables tables;
    Identity settings;  ///< what results depend on besides plan, twins, stimuli and seed
    std::shared_ptr<ForwardPlan> forward;
    std::size_t device_bytes = 0;       ///< that shards take of a device beside batches
    bool reads_stimuli = true;          ///< false: no shard declares reads
    bool looks_at_canvases = false;     ///< shards read the networks' inputs themselves
    std::string items_are = "stimuli";  ///< for people: "fits", "null draws"
};

/// Finished stages of the running campaign, readable from any rank. Independent.
class StageHistory {
public:
    bool has(std::string_view stage) const;
    /// Items of a finished stage.
    std::uint64_t items(std::string_view stage) const;
    OwnedBatch read(std::string_view name, ColumnId column, std::uint64_t first_row,
                    std::uint64_t rows) const;
    /// A whole column as memory, see `ResultSink::map`; valid until the history is closed.
    ConstBatch map(std::string_view name, ColumnId column) const;
    /// was_complete  the stage was found complete: somebody may have damaged it since
    void add(const Plan& plan, std::unique_ptr<ResultSink> sink, bool was_complete);
    /// Independent. Reads part `part` of `parts` of the stages that were found complete and
    /// compares checksums, once. Throws Error(store) that names the first stage with a damaged
    /// shard.
    void verify(std::uint64_t part, std::uint64_t parts, const std::atomic<bool>& stop);
    /// Collective: closes the stages' files.
    void close();

private:
    struct Stage {
        Plan plan;
        std::unique_ptr<ResultSink> sink;
        bool is_verified = true;
    };
    const Stage& stage(std::string_view name) const;

    std::map<std::string, Stage, std::less<>> stages_;
};

/// Columns of the running stage, readable by `combine` and `report` on rank 0.
class StageResults {
public:
    StageResults(const Plan& plan, ResultSink& sink, const std::atomic<bool>& stop)
        : plan_(plan), sink_(sink), stop_(stop)
    {
    }
    const Plan& plan() const noexcept { return plan_; }
    OwnedBatch read(ColumnId column, std::uint64_t first_row, std::uint64_t rows) const
    {
        return sink_.read(column, first_row, rows);
    }

    /// Throws StopRequested if the job was asked to stop; for long loops.
    void check_stop() const
    {
        if (stop_.load()) throw StopRequested{};
    }

private:
    const Plan& plan_;
    ResultSink& sink_;
    const std::atomic<bool>& stop_;
};

/// Rows of stage columns, in column order.
using SummaryRows = std::vector<std::pair<ColumnId, OwnedBatch>>;

struct ShardTools {
    InputStream& inputs;  ///< the shard's declared reads, batch by batch, prefetched
    ForwardPlan& forward;
    /// Rows of one column of this shard; the writer thread takes them.
    std::function<void(ColumnId, OwnedBatch)> write;
    Executor& executor;
    std::uint64_t seed = 0;
    /// Throws StopRequested if the job was asked to stop; for long loops.
    std::function<void()> check_stop;
    ShardScratch& scratch;  ///< for shards that are too long to be lost; stops in order, too
};

/// One analysis: a sequence of stages, each a bag of independent shards.
class Experiment {
public:
    virtual ~Experiment() = default;
    /// Complains in the experiment's own section about settings that do not fit the twins or
    /// stimuli; called once, before the first stage. Independent.
    virtual void check(ConfigSection&, const CampaignInputs&) {}
    /// Collective, same answer on every rank; nullopt: the campaign is complete. Throws
    /// Error(config or data) for settings that do not fit the twins or stimuli.
    virtual std::optional<StagePlan> next_stage(const CampaignInputs&, const StageHistory&) = 0;
    /// Called before the first stage runs. Throws Error(device) for work that this machine has no
    /// room for, before any of it is done. Independent.
    virtual void require_room(const CampaignInputs&) const {}
    /// Plain lines for `plan` about the stages behind the first one; called after `next_stage`.
    virtual std::vector<std::string> outlook(const CampaignInputs&) const { return {}; }
    /// The stimuli that a shard needs. Independent, pure.
    virtual ItemRange reads(const Shard& shard) const { return shard.items; }
    /// Before the first shard of a stage that has some to run: what the ranks bring together to
    /// where they compute. Shards must not depend on it. Collective.
    virtual void begin_stage(Communicator&, Executor&) {}
    /// Independent. A function of shard, seed, inputs and twins only.
    virtual void run_shard(const Shard& shard, ShardTools& tools) = 0;
    /// Rank 0, when every shard of the stage is sealed: the stage's summary, combined from the
    /// shards in shard order.
    virtual SummaryRows combine(const StageResults&) { return {}; }
    /// Rank 0, after each stage: plain lines for the closing summary; may put files for people into
    /// the folder.
    virtual std::vector<std::string> report(const StageResults&, const CampaignInputs&,
                                            const std::filesystem::path& folder)
    {
        static_cast<void>(folder);
        return {};
    }
};

/// The analyses that this build knows, by the name of their campaign section.
class ExperimentRegistry {
public:
    using Factory = std::function<std::unique_ptr<Experiment>(ConfigSection&)>;
    struct Entry {
        std::string name;
        std::string summary;
        std::string example;  ///< a commented campaign that runs as it is, for `init`
        Factory make;
        bool needs_twins = true;
        bool needs_stimuli = true;  ///< false: `check` complains where stimuli are missing
    };

    /// Throws Error(internal) for a name that exists already.
    void add(Entry entry);
    const Entry* find(std::string_view name) const noexcept;
    const std::vector<Entry>& entries() const noexcept { return entries_; }

private:
    std::vector<Entry> entries_;
};

/// A stage that reads no stimuli and computes no network; the plan stays to be filled.
StagePlan plan_without_stimuli(std::string items_are);

/// Describes items by their number alone, in a column of that name.
std::function<Table(ItemRange)> number_items(std::string column);

/// Fills `tables` with the description of the campaign's stimuli: a table, or above 10^7 synthetic
/// items the function that makes them (their identity text).
void describe_stimuli(const CampaignInputs& inputs, StageTables& tables);

/// Batch and shard sizes for a stage over stimuli. The sizes depend on the campaign only.
///
/// item_bytes     stored per item, for a bound on the writer's buffers
/// partial_bytes  stored per shard, for a bound on what `combine` reads
Plan plan_stimulus_stage(const std::string& stage, const CampaignInputs& inputs,
                         const ForwardPlan& forward, std::size_t item_bytes,
                         std::size_t partial_bytes);

}  // namespace twinscreen
