#include "experiments/fit_readout/fit_stage.hpp"

#include <algorithm>
#include <limits>
#include <numeric>

#include "experiments/fit_readout/recorded_units.hpp"
#include "experiments/statistics.hpp"

namespace twinscreen {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();
constexpr std::size_t most_block_units = 1024;

ColumnId id(std::size_t number) { return ColumnId{static_cast<std::uint32_t>(number)}; }

Axis axis(const std::string& name, std::size_t extent)
{
    return {name, static_cast<std::int64_t>(extent), ""};
}

/// Values of a unit behind its scores.
enum FitValue : std::size_t { r_shuffled, validation_r2, lambda, choice, intercept, fit_values };
struct ValueColumn {
    const char* name;
    const char* text;
};
constexpr ValueColumn value_columns[fit_values] = {
    {"r_shuffled",
     "baseline: Pearson r of the same features fitted to the responses to shuffled images"},
    {"validation_r2",
     "explained share of the variance of the images held out to choose the penalty"},
    {"lambda", "penalty that was chosen"},
    {"choice",
     "number of the band weights that were chosen (0: all alike), or of the rounds of a factorised "
     "fit"},
    {"intercept", "response where all features are 0"}};

OwnedBatch column_of(std::span<const double> values, const Shape& shape)
{
    OwnedBatch result(ElementType::f64, shape);
    std::ranges::copy(values, result.values<double>().begin());
    return result;
}

/// Column `response` of predictions, placed behind so many images without any.
std::vector<double> behind(std::size_t images, const std::vector<double>& predicted,
                           std::size_t responses, std::size_t response)
{
    std::vector<double> values(images, nan);
    for (std::size_t at = response; at < predicted.size(); at += responses)
        values.push_back(predicted[at]);
    return values;
}

}  // namespace

FitStage::FitStage(const FitData& data, const ReadoutForm& form)
    : data_(data),
      form_(form),
      block_units_(std::min(data.images.neurons.size(), most_block_units)),
      scores_(score_columns(data.images.recording.repeats)),
      weights_(form.columns(block_units_))
{
    for (std::size_t set = 0; set < data.sets.size(); ++set)
        if (!data.sets[set].is_untrained) trained_.push_back(set);
}

void FitStage::declare(const std::string& name, std::uint32_t threads, StagePlan& stage) const
{
    stage.plan.stage = name;
    stage.plan.items = data_.sets.size() * blocks();
    stage.plan.threads_per_rank = threads;
    for (std::uint64_t item = 0; item < stage.plan.items; ++item)
        stage.plan.relative_cost.push_back(form_.cost(item / blocks()));
    stage.columns = weights_;
    const auto add = [&](Domain domain, std::vector<Axis> row) {
        const auto column = [&](const char* title, const char* text) {
            stage.columns.push_back({title, domain, ElementType::f64, row, "", text});
        };
        for (const ScoreColumn& score : scores_) column(score.name, score.text);
        for (const ValueColumn& value : value_columns) column(value.name, value.text);
        if (domain == Domain::stage)
            column("r_untrained", "baseline: Pearson r of an untrained network's same features");
    };
    add(Domain::item, {axis("block_unit", block_units_)});
    add(Domain::stage, {axis("set", trained_.size()), axis("unit", units())});
    stage.tables.axes = {{"sets", "set", set_table()},
                         {"units", "unit", data_.images.units},
                         {"images", "image", image_table(data_.images)}};
    stage.tables.items = stage.plan.items;
    stage.tables.describe_items = [this](ItemRange items) { return describe(items); };
}

Table FitStage::set_table() const
{
    std::vector<std::string> twins, subjects, areas;
    std::vector<std::int64_t> features;
    for (const std::size_t set : trained_) {
        twins.push_back(data_.sets[set].twin);
        subjects.push_back(data_.sets[set].subject);
        areas.push_back(data_.sets[set].area);
        features.push_back(static_cast<std::int64_t>(data_.sets[set].columns.size()));
    }
    return {{{"twin", "", std::move(twins)},
             {"subject", "", std::move(subjects)},
             {"layer", "", std::move(areas)},
             {"features", "", std::move(features)}}};
}

Table FitStage::describe(ItemRange items) const
{
    std::vector<std::string> twins, areas;
    std::vector<std::int64_t> first_units;
    for (std::uint64_t at = 0; at < items.count; ++at) {
        const FitTask task = task_of({ShardId{index_of(items.first) + at}, {}});
        twins.push_back(data_.sets[task.set].twin);
        areas.push_back(data_.sets[task.set].area);
        first_units.push_back(static_cast<std::int64_t>(task.first_unit));
    }
    return {{{"twin", "", std::move(twins)},
             {"layer", "", std::move(areas)},
             {"first_unit", "", std::move(first_units)}}};
}

FitTask FitStage::task_of(const Shard& shard) const
{
    FitTask task;
    task.set = index_of(shard.id) / blocks();
    task.first_unit = index_of(shard.id) % blocks() * block_units_;
    task.units = std::min(block_units_, units() - task.first_unit);
    task.block_units = block_units_;
    return task;
}

ScoreInputs FitStage::score_inputs() const
{
    const FitImages& images = data_.images;
    return {images.score, images.scored, images.levels, images.resamples, data_.seed, noise_};
}

void FitStage::find_noise(const ShardTools& tools)
{
    if (data_.images.recording.repeats == 1 || !noise_.empty()) return;
    std::vector<Reliability> found;
    for (std::size_t unit = 0; unit < units(); ++unit) {
        tools.check_stop();
        found.push_back(noise_of(score_inputs(), unit));
    }
    noise_ = std::move(found);
}

void FitStage::run(const Shard& shard, const ShardTools& tools)
{
    const FitTask task = task_of(shard);
    find_noise(tools);
    FittedUnits fitted = form_.fit(task, tools);
    const auto values = values_of(task, fitted, tools);
    for (std::size_t column = 0; column < weights_.size(); ++column)
        tools.write(id(column), std::move(fitted.weights[column]));
    for (std::size_t value = 0; value < values.size(); ++value)
        tools.write(id(weights_.size() + value),
                    column_of(values[value], {1, static_cast<std::int64_t>(block_units_)}));
}

std::vector<std::vector<double>> FitStage::values_of(const FitTask& task, const FittedUnits& fitted,
                                                     const ShardTools& tools) const
{
    std::vector<std::vector<double>> values(scores_.size() + fit_values,
                                            std::vector<double>(block_units_, nan));
    ScoreInputs inputs = score_inputs();
    if (data_.sets[task.set].is_untrained) inputs.resamples = {};  // its r is a baseline
    const std::size_t images = data_.images.fitted.size();
    std::vector<std::uint64_t> tested(data_.images.split.test.size());
    std::iota(tested.begin(), tested.end(), std::uint64_t{images});
    for (std::size_t unit = 0; unit < task.units; ++unit) {
        tools.check_stop();
        const auto predicted = [&](std::size_t response) {
            return behind(images, fitted.predicted, 2 * task.units, response);
        };
        const UnitScore score = score_unit(inputs, task.first_unit + unit, predicted(unit));
        for (std::size_t column = 0; column < scores_.size(); ++column)
            values[column][unit] = score.*scores_[column].value;
        const auto value = [&](FitValue which) -> double& {
            return values[scores_.size() + which][unit];
        };
        const std::vector<double> shuffled = predicted(task.units + unit);
        value(r_shuffled) =
            pearson(std::span(shuffled).subspan(images),
                    mean_responses(data_.images.scored, tested, {task.first_unit + unit}));
        value(validation_r2) = fitted.validation_r2[unit];
        value(lambda) = fitted.lambda[unit];
        value(choice) = fitted.choice[unit];
        value(intercept) = fitted.intercept[unit];
    }
    return values;
}

std::vector<double> FitStage::unit_values(const StageResults& results, std::size_t value,
                                          std::size_t set) const
{
    results.check_stop();
    const OwnedBatch rows = results.read(id(weights_.size() + value), set * blocks(), blocks());
    const auto first = rows.values<double>().begin();
    return {first, first + static_cast<std::ptrdiff_t>(units())};
}

SummaryRows FitStage::summarise(const StageResults& results) const
{
    const Shape shape{static_cast<std::int64_t>(trained_.size()),
                      static_cast<std::int64_t>(units())};
    const std::size_t values = scores_.size() + fit_values;
    SummaryRows summary;
    for (std::size_t value = 0; value <= values; ++value) {
        std::vector<double> all;
        for (const std::size_t set : trained_) {
            std::vector<double> row(units(), nan);
            if (value < values)
                row = unit_values(results, value, set);
            else if (data_.sets[set].untrained)
                row = unit_values(results, 0, *data_.sets[set].untrained);
            all.insert(all.end(), row.begin(), row.end());
        }
        summary.emplace_back(id(weights_.size() + values + value), column_of(all, shape));
    }
    return summary;
}

std::vector<std::vector<double>> FitStage::summary_of(const StageResults& results,
                                                      std::size_t value) const
{
    const std::size_t first = weights_.size() + scores_.size() + fit_values;
    const OwnedBatch row = results.read(id(first + value), 0, 1);
    std::vector<std::vector<double>> sets;
    for (auto at = row.values<double>().begin(); at != row.values<double>().end();
         at += static_cast<std::ptrdiff_t>(units()))
        sets.emplace_back(at, at + static_cast<std::ptrdiff_t>(units()));
    return sets;
}

FitReport FitStage::report(const StageResults& results) const
{
    FitReport report;
    report.units = data_.images.units;
    report.neurons = data_.images.neurons;
    report.lambdas = data_.settings.lambdas;
    report.has_repeats = data_.images.recording.repeats > 1;
    for (const std::size_t set : trained_)
        report.sets.push_back({data_.sets[set].twin, data_.sets[set].subject, data_.sets[set].area,
                               data_.sets[set].columns.size()});
    for (std::size_t score = 0; score < scores_.size(); ++score)
        report.values[scores_[score].name] = summary_of(results, score);
    for (std::size_t value = 0; value < fit_values; ++value)
        report.values[value_columns[value].name] = summary_of(results, scores_.size() + value);
    report.values["r_untrained"] = summary_of(results, scores_.size() + fit_values);
    return report;
}

/// Weights of all units [..., units] out of rows of blocks [..., block_unit].
std::vector<double> FitStage::joined_weights(const StageResults& results, std::size_t column,
                                             std::size_t set) const
{
    const std::size_t outer = weights_[column].row_bytes() / sizeof(double) / block_units_;
    std::vector<double> joined(outer * units());
    for (std::size_t block = 0; block < blocks(); ++block) {
        const OwnedBatch row = results.read(id(column), set * blocks() + block, 1);
        const std::span<const double> from = row.values<double>();
        const std::size_t first = block * block_units_;
        const std::size_t count = std::min(block_units_, units() - first);
        for (std::size_t place = 0; place < outer; ++place)
            std::ranges::copy(
                from.subspan(place * block_units_, count),
                joined.begin() + static_cast<std::ptrdiff_t>(place * units() + first));
    }
    return joined;
}

FittedReadout FitStage::readout(const StageResults& results, std::size_t number) const
{
    const std::size_t set = trained_.at(number);
    FittedReadout readout;
    std::vector<std::vector<double>> rows;
    for (std::size_t column = 0; column < weights_.size(); ++column)
        rows.push_back(joined_weights(results, column, set));
    form_.fill(set, rows, unit_values(results, scores_.size() + intercept, set), readout);
    readout.units = data_.images.units;
    const std::vector<double> r = unit_values(results, 0, set);
    if (TableColumn* known = readout.units.find("heldout_r"))
        known->values = r;
    else
        readout.units.columns.push_back({"heldout_r", "", r});
    if (readout.units.find("neuron") == nullptr) {
        const auto& neurons = data_.images.neurons;
        readout.units.columns.push_back(
            {"neuron", "", std::vector<std::int64_t>(neurons.begin(), neurons.end())});
    }
    return readout;
}

}  // namespace twinscreen
