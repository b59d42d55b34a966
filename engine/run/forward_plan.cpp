#include "engine/run/forward_plan.hpp"

#include <algorithm>
#include <limits>
#include <map>
#include <numeric>

namespace twinscreen {

/// A readout of a pass. Its outputs are units (first_unit, ...) or contributions to areas.
struct ForwardPlan::Job {
    Readout* readout = nullptr;
    std::unique_ptr<Readout> folded;          // owned when the readout was made by folding
    std::size_t first_unit = 0;               // of unit outputs
    std::vector<std::size_t> area_of_output;  // of folded outputs
    OwnedBatch rows;                          // [compute batch, outputs], reused
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
        for (std::size_t unit = 0; unit < static_cast<std::size_t>(part.readout->outputs());
             ++unit) {
            const std::size_t area = area_of_unit_[first_unit + unit];
            auto found = std::find(job.area_of_output.begin(), job.area_of_output.end(), area);
            const auto output = static_cast<std::size_t>(found - job.area_of_output.begin());
            if (found == job.area_of_output.end()) {
                job.area_of_output.push_back(area);
                means.outputs.emplace_back();
            }
            means.outputs[output].emplace_back(UnitId{static_cast<std::uint32_t>(unit)},
                                               area_weight_[area]);
        }
        job.folded = part.readout->fold(means);
        if (job.folded)
            job.readout = job.folded.get();
        else
            job.area_of_output.clear();
    }
    if (!job.folded)
        for (std::size_t unit = 0; unit < static_cast<std::size_t>(part.readout->outputs()); ++unit)
            unfolded_units_.push_back(first_unit + unit);
    const std::int64_t rows = part.backbone->compute_batch();
    job.rows = OwnedBatch(ElementType::f32, {rows, job.readout->outputs()});
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

void ForwardPlan::run(const InputBatch& batch, Batch units, Batch areas, Executor& executor)
{
    const auto rows = static_cast<std::int64_t>(batch.items.count);
    units_out_ = units;
    areas_out_ = areas;
    if (wants_.areas) area_sums_.assign(batch.items.count * area_count_, 0.0);
    if (!wants_.units && !unfolded_units_.empty()) {
        const Shape shape{rows, static_cast<std::int64_t>(unit_count_)};
        if (!(unit_rows_.shape() == shape)) unit_rows_ = OwnedBatch(ElementType::f32, shape);
        units_out_ = unit_rows_.view();
    }
    for (const auto& pass : passes_) run_pass(*pass, batch, rows, executor);
    if (wants_.areas) average_areas(rows);

    constexpr float nan = std::numeric_limits<float>::quiet_NaN();
    for (std::size_t row = 0; row < batch.items.count; ++row) {
        if (batch.valid[row] != 0) continue;
        if (wants_.units)
            std::ranges::fill(values_of<float>(rows_of(units, static_cast<std::int64_t>(row), 1)),
                              nan);
        if (wants_.areas)
            std::ranges::fill(values_of<float>(rows_of(areas, static_cast<std::int64_t>(row), 1)),
                              nan);
    }
}

void ForwardPlan::run_pass(Pass& pass, const InputBatch& batch, std::int64_t rows,
                           Executor& executor)
{
    const std::int64_t step = pass.backbone->compute_batch();
    std::vector<NamedBatch> covariates;
    for (std::int64_t first = 0; first < rows; first += step) {
        covariates.clear();
        for (std::size_t at = 0; at < pass.bindings.size(); ++at) {
            const std::size_t binding = pass.bindings[at];
            covariates.push_back(
                {bindings_[binding].name, rows_of(batch.covariates[binding].view(), first, step)});
        }
        const ForwardRequest request{rows_of(batch.canvases[pass.canvas].view(), first, step),
                                     covariates, pass.wanted, false};
        const std::unique_ptr<Trace> trace = pass.backbone->forward(request, executor);
        const std::int64_t kept = std::min(step, rows - first);
        for (Job& job : pass.jobs) {
            job.readout->apply(*trace, job.rows.view(), executor);
            const std::span<const float> values = job.rows.values<float>();
            const auto outputs = static_cast<std::size_t>(job.readout->outputs());
            for (std::size_t row = 0; row < static_cast<std::size_t>(kept); ++row) {
                const auto from = values.subspan(row * outputs, outputs);
                const std::size_t to = static_cast<std::size_t>(first) + row;
                if (job.folded) {
                    for (std::size_t at = 0; at < outputs; ++at)
                        area_sums_[to * area_count_ + job.area_of_output[at]] += from[at];
                } else {
                    std::ranges::copy(
                        from, values_of<float>(units_out_).begin() +
                                  static_cast<std::ptrdiff_t>(to * unit_count_ + job.first_unit));
                }
            }
        }
    }
}

void ForwardPlan::average_areas(std::int64_t rows)
{
    // Units of readouts that could not be folded are summed here, in unit order.
    for (std::size_t row = 0; row < static_cast<std::size_t>(rows); ++row)
        for (const std::size_t unit : unfolded_units_)
            area_sums_[row * area_count_ + area_of_unit_[unit]] +=
                area_weight_[area_of_unit_[unit]] *
                static_cast<double>(values_of<float>(units_out_)[row * unit_count_ + unit]);
    std::ranges::transform(area_sums_, values_of<float>(areas_out_).begin(),
                           [](double sum) { return static_cast<float>(sum); });
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
