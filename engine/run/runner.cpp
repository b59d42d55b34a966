#include "engine/run/runner.hpp"

#include <algorithm>
#include <array>
#include <chrono>

#include "engine/base/digest.hpp"
#include "engine/base/failpoint.hpp"
#include "engine/base/log.hpp"
#include "engine/comm/heartbeat.hpp"
#include "engine/run/agreement.hpp"
#include "engine/run/batch_choice.hpp"
#include "engine/run/fitting_batch.hpp"
#include "engine/run/progress.hpp"
#include "engine/run/rank_agreement.hpp"
#include "engine/run/reader_threads.hpp"
#include "engine/run/shard_scratch.hpp"
#include "engine/run/telemetry.hpp"
#include "engine/run/worker.hpp"
#include "engine/schedule/shard_queue.hpp"
#include "engine/store/folder_lock.hpp"
#include "engine/twin/bundle.hpp"
#include "engine/twin/torch_device.hpp"

namespace twinscreen {
namespace {

using Clock = Progress::Clock;

/// Collective.
int ranks_of_node(Communicator& communicator)
{
    std::array<double, 1> node_ranks{static_cast<double>(communicator.node_rank() + 1)};
    communicator.all_reduce(node_ranks, Reduction::max);
    return static_cast<int>(node_ranks[0]);
}

std::chrono::milliseconds silence_of(const Campaign& campaign)
{
    return std::chrono::milliseconds(static_cast<std::int64_t>(campaign.run.silence_s * 1000.0));
}

/// Everything of one run that stages share.
struct Run {
    Campaign& campaign;
    std::filesystem::path folder;
    Communicator& communicator;
    std::atomic<bool>& stop;
    std::string numerics;
    int reader_threads = 1;
    std::unique_ptr<Telemetry> telemetry;  // rank 0
    RunSummary summary;
};

std::string build_text() { return "twinscreen " TWINSCREEN_VERSION ", " TWINSCREEN_COMPILER; }

/// "degrees_per_pixel = 0.1 (campaign)", one fact a line.
std::string facts_text(const Twin& twin)
{
    const Table& facts = twin.spec.stimulus_facts;
    std::string text;
    for (std::size_t row = 0; row < facts.rows(); ++row)
        text += fmt::format("{} = {} ({})\n", facts.text("property", row), facts.text("value", row),
                            facts.text("source", row));
    return text;
}

std::filesystem::path store_file(const Run& run, const StagePlan& stage)
{
    return run.folder / (stage.plan.stage + ".h5");
}

StoreOptions store_options(const Run& run, const StagePlan& stage)
{
    StoreOptions options;
    options.file = store_file(run, stage);
    options.identity = stage_identity(run.campaign, stage);
    options.numerics = run.numerics;
    options.allow_mixed_numerics = run.campaign.run.mixed_numerics;
    if (run.campaign.run.accept_changed_stimuli) options.tolerated = {"stimuli"};
    options.queue_bytes = static_cast<std::size_t>(run.campaign.run.queue_mib) << 20U;
    std::string overrides;
    for (const std::string& assignment : run.campaign.overrides) overrides += assignment + "\n";
    options.provenance = {{"campaign_name", run.campaign.name},
                          {"campaign_text", run.campaign.text},
                          {"campaign_overrides", overrides},
                          {"experiment", run.campaign.experiment_name},
                          {"items_are", stage.items_are},
                          {"seed", std::to_string(run.campaign.seed)},
                          {"build", build_text()},
                          {"numerics_mode", run.campaign.run.mixed_numerics ? "mixed" : "same"}};
    for (const Twin& twin : run.campaign.twins) {
        options.provenance.push_back(
            {"twin." + twin.spec.name,
             fmt::format("family {}, digest {}, licence {}, {}", twin.spec.family, twin.spec.digest,
                         twin.spec.licence, twin.spec.citation)});
        options.provenance.push_back({"stimulus_facts." + twin.spec.name, facts_text(twin)});
    }
    return options;
}

std::filesystem::path scratch_folder(const Run& run, const StagePlan& stage)
{
    return run.folder / "scratch" / stage.plan.stage;
}

/// A state is taken up by what would have computed the same.
StageScratch scratch_of(const Run& run, const StagePlan& stage)
{
    Digest owner;
    for (const auto& [name, value] : stage_identity(run.campaign, stage))
        owner.add(name).add(value);
    owner.add(build_text());
    if (!run.campaign.run.mixed_numerics) owner.add(run.numerics);
    StageScratch scratch;
    scratch.folder = scratch_folder(run, stage);
    scratch.owner = owner.hex();
    scratch.seconds = run.campaign.run.scratch_s;
    scratch.stop = &run.stop;
    return scratch;
}

/// What rank 0 shows of a stage.
struct Monitor {
    Progress progress;
    ProgressDisplay display;
};

/// What the queue and the writer thread call back into: outlives both, also when an error unwinds.
struct StageTools {
    std::unique_ptr<Monitor> monitor;   // rank 0
    std::unique_ptr<ShardQueue> queue;  // the writer thread reports to it
    std::unique_ptr<ResultSink> sink;
};

QueueOptions queue_options(Run& run, const StageState& state, Monitor* monitor,
                           const std::string& stage)
{
    QueueOptions options;
    options.checkpoint_interval = std::chrono::milliseconds(
        static_cast<std::int64_t>(run.campaign.run.checkpoint_minutes * 60'000.0));
    options.first_epoch = state.epoch + 1;
    options.stop = &run.stop;
    if (monitor == nullptr) return options;
    options.absorb = [&run, monitor, stage](const ShardReport& report) {
        monitor->progress.absorb(report);
        run.telemetry->shard(stage, report);
        monitor->display.show(monitor->progress.snapshot(Clock::now()), Clock::now());
    };
    return options;
}

void say_how_it_starts(const Run& run, const StagePlan& stage, const StageState& state)
{
    const std::uint64_t shards = stage.plan.shards();
    const std::uint64_t left = state.open.size() + state.suspect.size();
    const std::uint32_t asked = run.campaign.schedule.batch_items;
    if (stage.reads_stimuli && asked > 0 && asked != stage.plan.batch_items)
        spdlog::info("batches of {} instead of {}: the networks take multiples of {}",
                     stage.plan.batch_items, asked, stage.forward->batch_multiple());
    if (state.complete) {
        spdlog::info("{}: all {} shards are done already", stage.plan.stage, count_text(shards));
        return;
    }
    if (state.existed)
        spdlog::info("{}: going on; {} of {} shards are sealed{}", stage.plan.stage,
                     count_text(shards - state.open.size()), count_text(shards),
                     state.suspect.empty()
                         ? std::string()
                         : fmt::format(", {} of them since the last checkpoint: these are verified",
                                       count_text(state.suspect.size())));
    else
        spdlog::info("{}: {} {} in {} shard{} on {} rank{}", stage.plan.stage,
                     count_text(stage.plan.items), stage.items_are, count_text(shards),
                     shards == 1 ? "" : "s", run.communicator.size(),
                     run.communicator.size() == 1 ? "" : "s");
    const auto ranks = static_cast<std::uint64_t>(run.communicator.size());
    if (stage.reads_stimuli && left > 0 && ranks > left)
        spdlog::warn(
            "{} ranks for {} shards: {} ranks have nothing to do (a smaller [run] "
            "shard_items makes more shards)",
            ranks, left, ranks - left);
    else if (stage.reads_stimuli && ranks > 1 && shards / ranks < 32)
        spdlog::warn("{} shards per rank; below 32 the slowest rank holds the others up",
                     shards / ranks);
}

void add_closing_lines(Run& run, const StagePlan& stage, const ProgressSnapshot& end,
                       double seconds)
{
    auto& lines = run.summary.lines;
    lines.push_back(fmt::format(
        "{}: {} {} in {} ({} {}/s) on {} rank{}", stage.plan.stage, count_text(end.items_done),
        stage.items_are, duration_text(seconds),
        end.items_per_second < 100.0 ? fmt::format("{:.1f}", end.items_per_second)
                                     : count_text(static_cast<std::uint64_t>(end.items_per_second)),
        stage.items_are, run.communicator.size(), run.communicator.size() == 1 ? "" : "s"));
    lines.push_back(fmt::format(
        "  computing {:.0f} %, waiting for input {:.0f} %, waiting for the writer {:.0f} %; "
        "balance {:.2f} (busiest rank / mean), slowest rank {}",
        100.0 * end.compute_share, 100.0 * end.wait_fill_share, 100.0 * end.wait_write_share,
        end.balance, end.slowest_rank));
}

/// Collective. What lower precision did to the responses, beside what they are worth.
void add_arithmetic_lines(Run& run, const StagePlan& stage)
{
    const Arithmetic arithmetic = run.campaign.schedule.arithmetic;
    if (!stage.reads_stimuli || arithmetic == Arithmetic::float32) return;
    const ArithmeticError error = stage.forward->arithmetic_error().over_all(run.communicator);
    if (run.communicator.rank() != 0 || error.batches() == 0) return;
    run.telemetry->compared(stage.plan.stage, name_of(arithmetic), error);
    run.summary.lines.push_back(fmt::format(
        "  {} networks: {} batch{} compared with float32; responses differ by {:.3g} % of their "
        "spread over pictures (root mean square), one by {:.3g} %",
        name_of(arithmetic), error.batches(), error.batches() == 1 ? "" : "es",
        100.0 * error.of_spread(), 100.0 * error.largest()));
    if (error.overflowed() > 0)
        spdlog::warn("{} responses are too large for {} and became infinite or NaN",
                     count_text(error.overflowed()), name_of(arithmetic));
}

/// Collective: the open shards of a stage. True if all of them are sealed now.
bool work_on(Run& run, const StagePlan& stage, StageTools& tools)
{
    ResultSink& sink = *tools.sink;
    const StageState& state = sink.state();
    const bool is_root = run.communicator.rank() == 0;
    const Stopwatch elapsed;
    run.campaign.executor->kept().reset();  // of an earlier stage
    run.campaign.experiment->begin_stage(run.communicator, *run.campaign.executor);
    const std::uint64_t left = state.open.size() + state.suspect.size();
    if (is_root)
        tools.monitor.reset(new Monitor{
            Progress(stage.plan.shards(), stage.plan.shards() - left,
                     stage.plan.items - state.sealed_items, run.communicator.size(), Clock::now()),
            ProgressDisplay(stage.items_are)});
    const QueueOptions options = queue_options(run, state, tools.monitor.get(), stage.plan.stage);
    const OpenWork work{state.suspect, state.open};
    tools.queue = run.campaign.run.queue == "static"
                      ? make_static_queue(stage.plan, work, run.communicator, options)
                      : make_shard_queue(stage.plan, work, run.communicator, options);

    ReaderSettings settings;
    settings.batch_items = stage.plan.batch_items;
    settings.threads = run.reader_threads;
    settings.depth = run.reader_threads + 3;
    settings.on_bad_image = run.campaign.run.on_bad_image;
    settings.stop = &run.stop;
    Executor& executor = *run.campaign.executor;
    if (executor.wants_whole_batches() && !stage.looks_at_canvases) settings.pack_for = &executor;
    const auto reader = make_input_reader(*run.campaign.stimuli, stage.forward->canvases(),
                                          stage.forward->bindings(), settings);
    StageScratch scratch = scratch_of(run, stage);
    Worker worker({*run.campaign.experiment, stage, executor, sink, *tools.queue, *reader, scratch,
                   run.stop, run.communicator.rank(), run.campaign.seed, elapsed});
    worker.work();
    // Drains the writers, so that all reports exist before the queue is drained.
    sink.checkpoint(worker.last_epoch() + 1);
    TWINSCREEN_FAILPOINT("queue: before the drain");
    const bool complete = tools.queue->drain();
    TWINSCREEN_FAILPOINT("queue: drained");
    if (is_root) {
        const ProgressSnapshot end = tools.monitor->progress.snapshot(Clock::now());
        run.telemetry->ended(stage.plan.stage, complete ? "finished" : "interrupted",
                             elapsed.seconds());
        add_closing_lines(run, stage, end, elapsed.seconds());
    }
    add_arithmetic_lines(run, stage);
    return complete;
}

/// Collective: rank 0 combines the shards into the summary. False if the job was asked to stop.
bool combine_stage(Run& run, const StagePlan& stage, ResultSink& sink)
{
    std::array<double, 1> stopped{0.0};
    on_rank_0(run.communicator, [&] {
        try {
            const StageResults results(stage.plan, sink, run.stop);
            SummaryRows summary = run.campaign.experiment->combine(results);
            TWINSCREEN_FAILPOINT("combine: computed");
            sink.write_summary(std::move(summary));
        } catch (const StopRequested&) {
            stopped[0] = 1.0;
        }
    });
    run.communicator.all_reduce(stopped, Reduction::max);
    return stopped[0] == 0.0;
}

/// Collective, same answer on every rank.
bool begins_anew(const Run& run, const StagePlan& stage)
{
    std::error_code ignored;
    const bool is_missing =
        run.communicator.rank() == 0 && !std::filesystem::exists(store_file(run, stage), ignored);
    std::array<double, 1> anew{is_missing ? 1.0 : 0.0};
    run.communicator.all_reduce(anew, Reduction::max);
    return anew[0] > 0.0;
}

/// Before there is a store, which would be bound to the size of its batches.
void require_room_on_device(const Run& run, const StagePlan& stage)
{
    Executor& executor = *run.campaign.executor;
    const bool was_tried = run.campaign.schedule.largest_batch;
    if (stage.reads_stimuli && executor.wants_whole_batches() && !was_tried)
        require_fitting_batch(*stage.forward, stage.plan.batch_items, stage.device_bytes, executor);
}

/// Collective. False if the job was asked to stop.
bool run_stage(Run& run, StagePlan& stage, StageHistory& history)
{
    StageTools tools;
    const bool is_root = run.communicator.rank() == 0;
    // A store that begins anew takes up nothing from an earlier one.
    if (begins_anew(run, stage)) {
        if (is_root) remove_scratch(scratch_folder(run, stage));
        agree(run.communicator, [&] { require_room_on_device(run, stage); });
    }
    agree(run.communicator, [&] {
        tools.sink = open_hdf5_sink(store_options(run, stage), stage.plan, stage.columns,
                                    stage.tables, run.communicator);
    });
    TWINSCREEN_FAILPOINT("open: stage is open");
    ResultSink* sink = tools.sink.get();
    if (is_root) {
        say_how_it_starts(run, stage, sink->state());
        run.telemetry->started(stage.plan.stage, run.communicator.size(), stage.plan.shards(),
                               stage.plan.shards() - sink->state().open.size());
    }
    const bool was_complete = sink->state().complete;
    if (!was_complete) {
        agree(run.communicator, [&] {
            history.verify(static_cast<std::uint64_t>(run.communicator.rank()),
                           static_cast<std::uint64_t>(run.communicator.size()), run.stop);
        });
        if (!work_on(run, stage, tools)) {
            sink->close();
            return false;
        }
        if (!combine_stage(run, stage, *sink)) {
            sink->close();
            return false;
        }
    }
    TWINSCREEN_FAILPOINT("combine: over");
    if (is_root) remove_scratch(scratch_folder(run, stage));
    on_rank_0(run.communicator, [&] {
        auto& lines = run.summary.lines;
        for (std::string& line : run.campaign.experiment->report(
                 StageResults(stage.plan, *sink, run.stop), run.campaign.inputs(), run.folder))
            lines.push_back(std::move(line));
    });
    TWINSCREEN_FAILPOINT("stage: reported");
    history.add(stage.plan, std::move(tools.sink), was_complete);
    TWINSCREEN_FAILPOINT("stage: changes");
    return true;
}

/// Collective: nothing after the last stage.
std::optional<StagePlan> next_stage(Run& run, CampaignInputs& inputs, const StageHistory& history)
{
    Executor& executor = *run.campaign.executor;
    std::optional<StagePlan> stage;
    const auto plan_with = [&](std::uint32_t batch_items) {
        inputs.schedule.batch_items = batch_items;
        agree(run.communicator,
              [&] { stage = run.campaign.experiment->next_stage(inputs, history); });
        agree_on_stage(run.communicator, stage);
    };
    plan_with(run.campaign.schedule.batch_items);
    if (stage && stage->reads_stimuli && run.campaign.schedule.largest_batch)
        plan_with(choose_batch(store_file(run, *stage), *stage, executor, run.communicator));
    if (stage) {
        stage->forward->multiply_in(run.campaign.schedule.arithmetic);
        stage->forward->replay_passes(run.campaign.run.replay);
    }
    return stage;
}

/// The processor or GPU of this rank, for its networks and kernels.
void take_device(Campaign& campaign, int node_rank, int node_ranks)
{
    const ScheduleSettings& schedule = campaign.schedule;
    const DeviceRequest request{schedule.device, campaign.run.share_gpus, node_rank, node_ranks};
    const DeviceChoice choice = choose_device(request, visible_gpus());
    campaign.executor = make_executor(choice);
    use_for_networks(*campaign.executor);
    if (schedule.arithmetic != Arithmetic::float32 && !campaign.executor->wants_whole_batches())
        throw Error(Error::Kind::device,
                    fmt::format("precision = \"{}\" is for GPUs, and none is visible here",
                                name_of(schedule.arithmetic)),
                    "--set run.precision=float32 runs on the processor");
    if (choice.kind != DeviceKind::cpu)
        spdlog::info("networks run on {}{}", campaign.executor->name(),
                     choice.kind == DeviceKind::gpu ? fmt::format(" (GPU {})", choice.ordinal)
                                                    : std::string());
}

/// Collective: what ranks do together depends on where they compute.
void require_same_kind_of_device(const Campaign& campaign, Communicator& communicator)
{
    const double mine = campaign.executor->wants_whole_batches() ? 1.0 : 0.0;
    std::array<double, 1> on_gpus{mine};
    communicator.all_reduce(on_gpus, Reduction::sum);
    const bool differ = on_gpus[0] != mine * communicator.size();
    agree(communicator, [&] {
        if (differ)
            throw Error(Error::Kind::device,
                        fmt::format("{:.0f} of {} ranks would compute on a GPU, the others on the "
                                    "processor",
                                    on_gpus[0], communicator.size()),
                        "[run] device = \"cpu\", or start ranks only where there are GPUs");
    });
}

}  // namespace

Identity stage_identity(const Campaign& campaign, const StagePlan& stage)
{
    Identity identity{
        {"experiment", campaign.experiment_name},
        {"plan", fmt::format("{} items in shards of {}, batches of {}, {} threads; {:016x}",
                             stage.plan.items, stage.plan.shard_items, stage.plan.batch_items,
                             stage.plan.threads_per_rank, stage.plan.digest())},
        {"seed", std::to_string(campaign.seed)},
        {"stimuli", stimuli_identity(*campaign.stimuli)}};
    if (stage.reads_stimuli && campaign.schedule.arithmetic != Arithmetic::float32)
        identity.emplace_back("precision", name_of(campaign.schedule.arithmetic));
    for (std::size_t twin = 0; twin < campaign.twins.size(); ++twin) {
        std::string value = campaign.twins[twin].spec.digest +
                            fmt::format(", {} units", campaign.twins[twin].units.rows());
        for (const CovariateBinding& binding : campaign.covariates[twin])
            value += ", " + binding.text();
        identity.emplace_back("twin " + campaign.twins[twin].spec.name, value);
    }
    std::string columns;
    for (const ColumnSpec& column : stage.columns)
        columns += fmt::format("{}{} {}{}", columns.empty() ? "" : ", ", column.name,
                               name_of(column.type), column.row_shape().text());
    identity.emplace_back("columns", columns);
    identity.insert(identity.end(), stage.settings.begin(), stage.settings.end());
    return identity;
}

RunSummary run_campaign(Campaign& campaign, const std::filesystem::path& folder,
                        Communicator& communicator, std::atomic<bool>& stop)
{
    const Heartbeat heartbeat(communicator, silence_of(campaign));
    Run run{campaign, folder, communicator, stop, {}, 1, nullptr, {}};
    set_compute_threads(static_cast<int>(campaign.schedule.threads_per_rank));
    const int node_ranks = ranks_of_node(communicator);
    agree(communicator, [&] { take_device(campaign, communicator.node_rank(), node_ranks); });
    require_same_kind_of_device(campaign, communicator);
    const RankFacts facts = facts_of_this_rank(campaign);
    run.numerics = facts.numerics;
    compare_ranks(communicator, campaign, facts);
    run.reader_threads = campaign.run.reader_threads > 0 ? campaign.run.reader_threads
                                                         : default_reader_threads(node_ranks);
    make_shared_folder(communicator, folder);
    std::unique_ptr<FolderLock> lock;
    on_rank_0(communicator, [&] {
        lock = std::make_unique<FolderLock>(folder);
        TWINSCREEN_FAILPOINT("folder: locked");
        run.telemetry = std::make_unique<Telemetry>(folder);
    });

    StageHistory history;
    CampaignInputs inputs = campaign.inputs();
    agree(communicator, [&] { campaign.experiment->require_room(inputs); });
    while (true) {
        std::optional<StagePlan> stage = next_stage(run, inputs, history);
        if (!stage) break;
        run.summary.stages.push_back(stage->plan.stage);
        if (!run_stage(run, *stage, history)) {
            run.summary.exit_code = exit_resumable;
            break;
        }
    }
    history.close();
    TWINSCREEN_FAILPOINT("stage: all are closed");
    return std::move(run.summary);
}

}  // namespace twinscreen
