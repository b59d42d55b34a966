#include "engine/run/forward_plan.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <map>
#include <numeric>
#include <optional>

#include "engine/base/failpoint.hpp"
#include "engine/device/device_error.hpp"
#include "engine/run/prepare_batch.hpp"
#include "engine/twin/torch_device.hpp"
#include "kernels/response_rows.hpp"

namespace twinscreen {

/// A readout of a pass. Its outputs are units (first_unit, ...) or contributions to areas.
struct ForwardPlan::Job {
    Readout* readout = nullptr;
    std::unique_ptr<Readout> folded;           // owned when the readout was made by folding
    std::size_t first_unit = 0;                // of unit outputs
    PlacedArray<std::int32_t> area_of_output;  // of folded outputs
    std::size_t outputs_place = 0;             // of its outputs in the workspace
};

struct ForwardPlan::Pass {
    std::shared_ptr<Backbone> backbone;
    std::size_t canvas = 0;
    std::vector<std::size_t> bindings;
    std::vector<std::string> twins;
    std::vector<Job> jobs;
    std::vector<TapId> wanted;
    double naive_macs = 0.0;
};

/// Memory of the batch where the executor works. Where images run one by one, on the host, inputs
/// and results are used where they lie.
struct ForwardPlan::Workspace {
    Executor* executor = nullptr;
    std::int64_t rows = 0;  // of a batch, with its padding
    bool is_staged = false;
    std::vector<ExecutorMemory> canvases;
    std::vector<ExecutorMemory> covariates;
    std::vector<ExecutorMemory> outputs;  // of each job: f32 [compute rows, outputs]
    ExecutorMemory sums;                  // f64 [rows, areas]
    ExecutorMemory units;                 // f32 [rows, units]
    ExecutorMemory areas;                 // f32 [rows, areas]
    ExecutorMemory valid_rows;            // u8 [rows]
    /// Results on their way to the host: one batch is read while the next one comes.
    struct Return {
        ExecutorMemory units;       // pinned
        ExecutorMemory areas;       // pinned
        ExecutorMemory valid_rows;  // pinned
        std::vector<std::uint8_t> valid;
        ForwardWants sent;
        bool is_compared = false;
        std::unique_ptr<Milestone> is_there;
    };
    std::array<Return, 2> returns;
    std::size_t first_return = 0;
    std::size_t on_their_way = 0;
    /// Free, as fewer batches are on their way than there are returns.
    Return& next_return() { return returns[(first_return + on_their_way) % returns.size()]; }
    ExecutorMemory in_float32;  // pinned: units, or areas where nobody wants units
    bool comparison_is_under_way = false;
    std::unique_ptr<RecordedWork> recorded;  // of a full batch
    int full_batches = 0;
    std::unique_ptr<Milestone> inputs_taken;
    std::optional<BatchPreparation> preparation;

    std::vector<ConstBatch> canvas_views;     // of this batch
    std::vector<ConstBatch> covariate_views;  // of this batch
    Batch units_view;
    Batch areas_view;
};

namespace {

/// With the padding behind the last items.
std::int64_t rows_of_batch(const InputBatch& batch)
{
    if (batch.pictures) return batch.pictures->rows();
    return batch.canvases.empty() ? static_cast<std::int64_t>(batch.items.count)
                                  : batch.canvases.front().shape().extent[0];
}

}  // namespace

ForwardPlan::ForwardPlan(std::span<Twin> twins, std::span<const TwinCovariates> covariates,
                         ForwardWants wants)
    : twins_(twins), covariates_(covariates), wants_(wants)
{
    build_tables();
    std::size_t first_unit = 0;
    for (std::size_t twin = 0; twin < twins_.size(); ++twin)
        for (TwinPart& part : twins_[twin].parts) {
            add_part(twin, part, first_unit);
            first_unit += static_cast<std::size_t>(part.readout->outputs());
        }
    list_area_members();
    for (const auto& pass : passes_)
        batch_multiple_ =
            std::lcm(batch_multiple_, static_cast<std::uint32_t>(pass->backbone->compute_batch()));
}

ForwardPlan::~ForwardPlan() = default;
ForwardPlan::ForwardPlan(ForwardPlan&&) noexcept = default;

void ForwardPlan::build_tables()
{
    std::vector<std::string> names;
    for (const Twin& twin : twins_) names.insert(names.end(), twin.units.rows(), twin.spec.name);
    unit_count_ = names.size();
    units_.columns.push_back({"twin", "", names});
    std::vector<const Table*> tables;
    for (const Twin& twin : twins_) tables.push_back(&twin.units);
    for (TableColumn& column : stack_tables(tables).columns)
        if (column.name != "twin") units_.columns.push_back(std::move(column));
    if (unit_count_ == 0) return;

    std::map<std::vector<std::string>, std::size_t> known;
    std::vector<std::vector<std::string>> keys;
    std::vector<std::int64_t> counts;
    for (std::size_t unit = 0; unit < unit_count_; ++unit) {
        std::vector<std::string> key{names[unit], units_.text("subject", unit),
                                     units_.text("area", unit)};
        const auto [entry, is_new] = known.try_emplace(key, keys.size());
        if (is_new) {
            keys.push_back(std::move(key));
            counts.push_back(0);
        }
        area_of_unit_.push_back(entry->second);
        ++counts[entry->second];
    }
    area_count_ = keys.size();
    for (const std::int64_t count : counts)
        area_weight_.push_back(1.0 / static_cast<double>(count));
    for (std::size_t part = 0; part < 3; ++part) {
        std::vector<std::string> cells;
        for (const auto& key : keys) cells.push_back(key[part]);
        constexpr const char* titles[] = {"twin", "subject", "area"};
        areas_.columns.push_back({titles[part], "", std::move(cells)});
    }
    areas_.columns.push_back({"unit_count", "", std::move(counts)});
}

std::string ForwardPlan::response_unit() const
{
    if (twins_.empty()) return {};
    const std::string& unit = twins_.front().spec.response_unit;
    const bool is_common = std::all_of(twins_.begin(), twins_.end(), [&](const Twin& twin) {
        return twin.spec.response_unit == unit;
    });
    return is_common ? unit : std::string{};
}

ForwardPlan::Pass& ForwardPlan::pass_for(std::size_t twin,
                                         const std::shared_ptr<Backbone>& backbone)
{
    std::vector<std::size_t> bindings;
    for (const CovariateBinding& binding : covariates_[twin]) {
        const auto found = std::find(bindings_.begin(), bindings_.end(), binding);
        bindings.push_back(static_cast<std::size_t>(found - bindings_.begin()));
        if (found == bindings_.end()) bindings_.push_back(binding);
    }
    for (const auto& pass : passes_)
        if (pass->backbone->digest() == backbone->digest() && pass->bindings == bindings)
            return *pass;

    const std::string input = backbone->input().text();
    const auto canvas = std::find_if(canvases_.begin(), canvases_.end(),
                                     [&](const auto& known) { return known.text() == input; });
    auto pass = std::make_unique<Pass>();
    pass->backbone = backbone;
    pass->canvas = static_cast<std::size_t>(canvas - canvases_.begin());
    pass->bindings = std::move(bindings);
    if (canvas == canvases_.end()) canvases_.push_back(backbone->input());
    passes_.push_back(std::move(pass));
    return *passes_.back();
}

void ForwardPlan::add_part(std::size_t twin, TwinPart& part, std::size_t first_unit)
{
    Pass& pass = pass_for(twin, part.backbone);
    Job job;
    job.readout = part.readout.get();
    job.first_unit = first_unit;
    if (wants_.areas && !wants_.units) {
        LinearMeasure means;
        std::vector<std::int32_t> area_of_output;
        for (std::size_t unit = 0; unit < static_cast<std::size_t>(part.readout->outputs());
             ++unit) {
            const auto area = static_cast<std::int32_t>(area_of_unit_[first_unit + unit]);
            auto found = std::find(area_of_output.begin(), area_of_output.end(), area);
            const auto output = static_cast<std::size_t>(found - area_of_output.begin());
            if (found == area_of_output.end()) {
                area_of_output.push_back(area);
                means.outputs.emplace_back();
            }
            means.outputs[output].emplace_back(UnitId{static_cast<std::uint32_t>(unit)},
                                               area_weight_[static_cast<std::size_t>(area)]);
        }
        job.folded = part.readout->fold(means);
        if (job.folded) {
            job.readout = job.folded.get();
            job.area_of_output = PlacedArray<std::int32_t>(std::move(area_of_output));
        }
    }
    if (!job.folded)
        for (std::size_t unit = 0; unit < static_cast<std::size_t>(part.readout->outputs()); ++unit)
            unfolded_units_.push_back(first_unit + unit);
    for (const TapId tap : job.readout->taps())
        if (std::find(pass.wanted.begin(), pass.wanted.end(), tap) == pass.wanted.end())
            pass.wanted.push_back(tap);
    pass.naive_macs +=
        part.backbone->macs_per_row(part.readout->taps()) + part.readout->macs_per_row();
    if (pass.twins.empty() || pass.twins.back() != twins_[twin].spec.name)
        pass.twins.push_back(twins_[twin].spec.name);
    pass.jobs.push_back(std::move(job));
}

double ForwardPlan::macs_per_item() const
{
    double macs = 0.0;
    for (const auto& pass : passes_) {
        macs += pass->backbone->macs_per_row(pass->wanted);
        for (const Job& job : pass->jobs) macs += job.readout->macs_per_row();
    }
    return macs;
}

std::size_t ForwardPlan::memory_bytes() const
{
    std::size_t bytes = 0;
    for (const auto& pass : passes_) {
        bytes += pass->backbone->memory_bytes(pass->wanted);
        for (const Job& job : pass->jobs) bytes += job.readout->memory_bytes();
    }
    return bytes;
}

/// The units whose area means are taken from their responses.
void ForwardPlan::list_area_members()
{
    std::vector<std::int32_t> first(area_count_ + 1, 0);
    for (const std::size_t unit : unfolded_units_) ++first[area_of_unit_[unit] + 1];
    std::partial_sum(first.begin(), first.end(), first.begin());
    std::vector<std::int32_t> next(first.begin(), first.end() - 1);
    std::vector<std::int32_t> units(unfolded_units_.size());
    for (const std::size_t unit : unfolded_units_)
        units[static_cast<std::size_t>(next[area_of_unit_[unit]]++)] =
            static_cast<std::int32_t>(unit);
    member_first_ = PlacedArray<std::int32_t>(std::move(first));
    member_unit_ = PlacedArray<std::int32_t>(std::move(units));
    member_weight_ = PlacedArray<double>(area_weight_);
}

ForwardPlan::Workspace& ForwardPlan::workspace_for(const InputBatch& batch, Executor& executor)
{
    const std::int64_t rows = rows_of_batch(batch);
    if (workspace_ && workspace_->executor == &executor && workspace_->rows == rows)
        return *workspace_;
    workspace_ = std::make_unique<Workspace>();
    Workspace& w = *workspace_;
    w.executor = &executor;
    w.rows = rows;
    w.is_staged = executor.wants_whole_batches();
    for (const auto& pass : passes_)
        for (Job& job : pass->jobs) {
            const std::int64_t step = w.is_staged ? rows : pass->backbone->compute_batch();
            job.outputs_place = w.outputs.size();
            w.outputs.emplace_back(executor, ElementType::f32, Shape{step, job.readout->outputs()});
        }
    const Shape units{rows, static_cast<std::int64_t>(unit_count_)};
    const Shape areas{rows, static_cast<std::int64_t>(area_count_)};
    if (wants_.areas) w.sums = ExecutorMemory(executor, ElementType::f64, areas);
    if (w.is_staged || (!wants_.units && !unfolded_units_.empty()))
        w.units = ExecutorMemory(executor, ElementType::f32, units);
    if (!w.is_staged) return w;
    for (const InputTransform& canvas : canvases_)
        w.canvases.emplace_back(executor, ElementType::f32, canvas.row_shape().with_rows(rows));
    for (const OwnedBatch& covariate : batch.covariates)
        w.covariates.emplace_back(executor, covariate.type(), covariate.shape());
    constexpr auto pinned = ExecutorMemory::Place::pinned;
    w.areas = ExecutorMemory(executor, ElementType::f32, areas);
    for (Workspace::Return& back : w.returns)
        back = {ExecutorMemory(executor, ElementType::f32, units, pinned),
                ExecutorMemory(executor, ElementType::f32, areas, pinned),
                ExecutorMemory(executor, ElementType::u8, Shape{rows}, pinned),
                {},
                {},
                false,
                executor.make_milestone()};
    w.valid_rows = ExecutorMemory(executor, ElementType::u8, Shape{rows});
    w.inputs_taken = executor.make_milestone();
    w.preparation.emplace(executor);
    return w;
}

/// The batch's inputs where the networks read them.
void ForwardPlan::place_inputs(const InputBatch& batch, Workspace& w) const
{
    w.canvas_views.clear();
    w.covariate_views.clear();
    if (!w.is_staged) {
        for (const OwnedBatch& canvas : batch.canvases) w.canvas_views.push_back(canvas.view());
        for (const OwnedBatch& values : batch.covariates)
            w.covariate_views.push_back(values.view());
        return;
    }
    std::vector<Batch> inputs;
    for (const ExecutorMemory& canvas : w.canvases) inputs.push_back(canvas.view());
    w.canvas_views.assign(inputs.begin(), inputs.end());
    if (batch.pictures)
        w.preparation->prepare(batch, canvases_, inputs);
    else
        for (std::size_t number = 0; number < inputs.size(); ++number)
            w.executor->copy(inputs[number], batch.canvases[number].view());
    for (std::size_t number = 0; number < batch.covariates.size(); ++number) {
        w.executor->copy(w.covariates[number].view(), batch.covariates[number].view());
        w.covariate_views.push_back(w.covariates[number].view());
    }
    w.inputs_taken->set();
}

void ForwardPlan::run(const InputBatch& batch, Batch units, Batch areas, Executor& executor)
{
    if (executor.wants_whole_batches()) {
        start(batch, executor);
        const Responses found = finish();
        if (wants_.units) std::memcpy(units.data, found.units.data, bytes_of(found.units));
        if (wants_.areas) std::memcpy(areas.data, found.areas.data, bytes_of(found.areas));
        return;
    }
    Workspace& w = workspace_for(batch, executor);
    w.units_view = w.units.is_empty() ? units : w.units.view();
    w.areas_view = areas;
    place_inputs(batch, w);
    compute(static_cast<std::int64_t>(batch.items.count), Arithmetic::float32, w);
    blank_invalid_rows(batch.valid, units, areas);
}

void ForwardPlan::start(const InputBatch& batch, Executor& executor, const Folding* folding)
{
    Workspace& w = workspace_for(batch, executor);
    TWINSCREEN_REQUIRE(w.on_their_way < w.returns.size(), internal,
                       "a third batch was started before the first one was finished");
    w.units_view = w.units.view();
    w.areas_view = w.areas.view();
    with_device_errors(executor, [&] {
        if (const int code = TWINSCREEN_INJECTED_DEVICE_FAULT())
            throw_device_error(code, "injected", "computing a batch");
        place_inputs(batch, w);
        const bool is_compared = begin_comparison(batch, w);
        const auto rows = static_cast<std::int64_t>(batch.items.count);
        compute_or_replay(rows, w);
        blank_invalid_rows(batch, w);
        if (folding != nullptr)
            folding->fold(batch.items, rows_of(w.units_view, 0, rows),
                          rows_of(w.areas_view, 0, rows));
        const bool sends_all = folding == nullptr || is_compared;
        send_back(batch, sends_all ? wants_ : folding->sent, is_compared, w);
    });
}

/// True where the batch's responses in float32 are on their way to the host. One at a time.
bool ForwardPlan::begin_comparison(const InputBatch& batch, Workspace& w)
{
    if (!compare_next_ || arithmetic_ == Arithmetic::float32 || w.comparison_is_under_way)
        return false;
    compare_next_ = false;
    w.comparison_is_under_way = true;
    const Batch responses = wants_.units ? w.units_view : w.areas_view;
    if (w.in_float32.is_empty())
        w.in_float32 = ExecutorMemory(*w.executor, ElementType::f32, responses.shape,
                                      ExecutorMemory::Place::pinned);
    compute(static_cast<std::int64_t>(batch.items.count), Arithmetic::float32, w);
    w.executor->copy(w.in_float32.view(), responses);
    return true;
}

/// The passes of a full batch read and write the same places every time.
void ForwardPlan::compute_or_replay(std::int64_t rows, Workspace& w) const
{
    constexpr int batches_before = 2;
    const bool is_full = rows == w.rows;
    if (replays_ && is_full && !w.recorded && w.full_batches++ == batches_before)
        w.recorded = record(*w.executor, [this, &w] { compute(w.rows, arithmetic_, w); });
    if (is_full && w.recorded)
        w.recorded->give();
    else
        compute(rows, arithmetic_, w);
}

void ForwardPlan::compute(std::int64_t rows, Arithmetic arithmetic, Workspace& w) const
{
    Executor& executor = *w.executor;
    if (wants_.areas) clear(w.sums.view(), executor);
    for (const auto& pass : passes_) run_pass(*pass, rows, arithmetic, w);
    if (!wants_.areas) return;
    finish_areas(
        rows_of(w.sums.view(), 0, rows),
        {member_first_.on(executor), member_unit_.on(executor), member_weight_.on(executor)},
        w.units_view, rows_of(w.areas_view, 0, rows), executor);
}

void ForwardPlan::blank_invalid_rows(const InputBatch& batch, Workspace& w) const
{
    if (std::ranges::find(batch.valid, 0) == batch.valid.end()) return;
    const auto rows = static_cast<std::int64_t>(batch.items.count);
    const Batch valid = rows_of(w.next_return().valid_rows.view(), 0, rows);
    std::ranges::copy(batch.valid, values_of<std::uint8_t>(valid).begin());
    const Batch placed = rows_of(w.valid_rows.view(), 0, rows);
    w.executor->copy(placed, valid);
    if (wants_.units) blank_rows(placed, rows_of(w.units_view, 0, rows), *w.executor);
    if (wants_.areas) blank_rows(placed, rows_of(w.areas_view, 0, rows), *w.executor);
}

void ForwardPlan::send_back(const InputBatch& batch, ForwardWants sent, bool is_compared,
                            Workspace& w) const
{
    Workspace::Return& back = w.next_return();
    back.valid = batch.valid;
    back.sent = sent;
    back.is_compared = is_compared;
    const auto rows = static_cast<std::int64_t>(batch.items.count);
    const auto send = [&](const ExecutorMemory& to, Batch from) {
        w.executor->copy(rows_of(to.view(), 0, rows), rows_of(from, 0, rows));
    };
    if (sent.units) send(back.units, w.units_view);
    if (sent.areas) send(back.areas, w.areas_view);
    back.is_there->set();
    ++w.on_their_way;
}

void ForwardPlan::wait_for_inputs()
{
    if (workspace_ && workspace_->on_their_way > 0) workspace_->inputs_taken->wait();
}

ForwardPlan::Responses ForwardPlan::finish()
{
    TWINSCREEN_REQUIRE(workspace_ && workspace_->on_their_way > 0, internal,
                       "a batch was finished that was not started");
    Workspace& w = *workspace_;
    Workspace::Return& back = w.returns[w.first_return];
    w.first_return = (w.first_return + 1) % w.returns.size();
    --w.on_their_way;
    back.is_there->wait();
    const auto rows = static_cast<std::int64_t>(back.valid.size());
    const Responses found{back.sent.units ? rows_of(back.units.view(), 0, rows) : Batch{},
                          back.sent.areas ? rows_of(back.areas.view(), 0, rows) : Batch{}};
    if (back.is_compared) {
        arithmetic_error_.add(wants_.units ? found.units : found.areas,
                              rows_of(w.in_float32.view(), 0, rows), back.valid);
        w.comparison_is_under_way = false;
    }
    return found;
}

void ForwardPlan::forget_started()
{
    while (workspace_ && workspace_->on_their_way > 0) static_cast<void>(finish());
}

void ForwardPlan::give_back_memory() { workspace_.reset(); }

void ForwardPlan::multiply_in(Arithmetic arithmetic)
{
    arithmetic_ = arithmetic;
    forget_recording();
}

void ForwardPlan::replay_passes(bool replays)
{
    replays_ = replays;
    forget_recording();
}

void ForwardPlan::forget_recording()
{
    if (!workspace_) return;
    workspace_->recorded.reset();
    workspace_->full_batches = 0;
}

/// NaN in the responses to pictures that could not be read.
void ForwardPlan::blank_invalid_rows(std::span<const std::uint8_t> valid, Batch units,
                                     Batch areas) const
{
    constexpr float nan = std::numeric_limits<float>::quiet_NaN();
    for (std::size_t row = 0; row < valid.size(); ++row) {
        if (valid[row] != 0) continue;
        const auto at = static_cast<std::int64_t>(row);
        if (wants_.units) std::ranges::fill(values_of<float>(rows_of(units, at, 1)), nan);
        if (wants_.areas) std::ranges::fill(values_of<float>(rows_of(areas, at, 1)), nan);
    }
}

void ForwardPlan::run_pass(Pass& pass, std::int64_t rows, Arithmetic arithmetic, Workspace& w) const
{
    const std::int64_t step = w.is_staged ? w.rows : pass.backbone->compute_batch();
    std::vector<NamedBatch> covariates;
    for (std::int64_t first = 0; first < rows; first += step) {
        covariates.clear();
        for (const std::size_t binding : pass.bindings)
            covariates.push_back(
                {bindings_[binding].name, rows_of(w.covariate_views[binding], first, step)});
        const ForwardRequest request{rows_of(w.canvas_views[pass.canvas], first, step), covariates,
                                     pass.wanted, false};
        std::unique_ptr<Trace> trace;
        {
            const ArithmeticScope scope(arithmetic, *w.executor);
            trace = pass.backbone->forward(request, *w.executor);
        }
        for (const Job& job : pass.jobs) {
            const Batch outputs = w.outputs[job.outputs_place].view();
            job.readout->apply(*trace, outputs, *w.executor);
            place_outputs(job, outputs, first, std::min(step, rows - first), w);
        }
    }
}

void ForwardPlan::place_outputs(const Job& job, ConstBatch outputs, std::int64_t first_row,
                                std::int64_t rows, Workspace& w) const
{
    if (job.folded)
        add_to_areas(outputs, job.area_of_output.on(*w.executor), first_row, rows, w.sums.view(),
                     *w.executor);
    else
        place_columns(outputs, {first_row, rows, static_cast<std::int64_t>(job.first_unit)},
                      w.units_view, *w.executor);
}

std::vector<ForwardPlan::PassSummary> ForwardPlan::summarise() const
{
    // Networks with the same input and the same twins (single-neuron models) share a line.
    std::vector<PassSummary> lines;
    std::string last_key;
    for (const auto& pass : passes_) {
        std::string twins;
        for (const std::string& name : pass->twins) twins += (twins.empty() ? "" : ", ") + name;
        const InputTransform& input = canvases_[pass->canvas];
        const std::string key = twins + input.text();
        if (key != last_key) {
            lines.push_back({});
            lines.back().twins = twins;
            lines.back().input = fmt::format("{}x{}x{}", input.height, input.width, input.channels);
        }
        last_key = key;
        PassSummary& line = lines.back();
        ++line.networks;
        line.readouts += pass->jobs.size();
        line.naive_macs += pass->naive_macs;
        line.macs += pass->backbone->macs_per_row(pass->wanted);
        for (const Job& job : pass->jobs) {
            line.folded = line.folded || job.folded != nullptr;
            line.macs += job.readout->macs_per_row();
        }
    }
    return lines;
}

}  // namespace twinscreen
