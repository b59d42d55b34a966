#include "experiments/unit_score.hpp"

#include <limits>

#include "experiments/statistics.hpp"

namespace twinscreen {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

const std::vector<ScoreColumn> plain_columns{
    {"r", "Pearson r of predicted and recorded averages over the scored items", &UnitScore::r},
    {"r_low", "lower end of the 95 % bootstrap interval of r over items", &UnitScore::r_low},
    {"r_high", "upper end of the 95 % bootstrap interval of r over items", &UnitScore::r_high},
    {"r_constant", "baseline: a constant explains nothing", &UnitScore::r_constant},
    {"r_luminance", "baseline: regression on mean luminance, fitted on the fit items",
     &UnitScore::r_luminance}};

const std::vector<ScoreColumn> repeat_columns{
    {"split_half", "split-half reliability (Spearman & Brown 1910)", &UnitScore::split_half},
    {"cc_max", "noise ceiling of r (Schoppe et al. 2016)", &UnitScore::cc_max},
    {"cc_norm", "r / cc_max (Schoppe et al. 2016)", &UnitScore::cc_norm},
    {"fev", "explainable share of the single-trial variance (Cadena et al. 2019)", &UnitScore::fev},
    {"feve", "share of the explainable variance that is explained (Cadena et al. 2019)",
     &UnitScore::feve}};

Repeats repeats_of(const Recording& recording, std::size_t neuron, const ItemSpan& span)
{
    const std::size_t offset = (neuron * recording.items + span.first) * recording.repeats;
    return {std::span(recording.values).subspan(offset, span.count() * recording.repeats),
            span.count(), recording.repeats};
}

std::span<const double> part(std::span<const double> values, const ItemSpan& span)
{
    return values.subspan(span.first, span.count());
}

std::vector<double> on_line(const Line& line, std::span<const double> values)
{
    std::vector<double> result;
    for (const double value : values) result.push_back(line.intercept + line.slope * value);
    return result;
}

}  // namespace

UnitScore unknown_score() { return {nan, nan, nan, 0.0, nan, nan, nan, nan, nan, nan}; }

std::vector<ScoreColumn> score_columns(std::size_t repeats)
{
    std::vector<ScoreColumn> columns = plain_columns;
    if (repeats > 1) columns.insert(columns.end(), repeat_columns.begin(), repeat_columns.end());
    return columns;
}

Reliability noise_of(const ScoreInputs& inputs, std::size_t neuron)
{
    return reliability(repeats_of(inputs.recording, neuron, inputs.settings.score), inputs.seed,
                       inputs.settings.halvings);
}

UnitScore score_unit(const ScoreInputs& inputs, std::size_t neuron, std::vector<double> predicted)
{
    const ScoreSettings& settings = inputs.settings;
    const bool has_prediction = !predicted.empty();
    const Repeats trials = repeats_of(inputs.recording, neuron, settings.score);
    const std::vector<double> recorded = mean_over_repeats(trials);
    const std::vector<double> fit =
        mean_over_repeats(repeats_of(inputs.recording, neuron, settings.fit));

    UnitScore score = unknown_score();
    const Line brightness = fit_line(part(inputs.luminance, settings.fit), fit);
    score.r_luminance =
        pearson(on_line(brightness, part(inputs.luminance, settings.score)), recorded);
    if (has_prediction) {
        if (settings.affine)
            predicted = on_line(fit_line(part(predicted, settings.fit), fit), predicted);
        const std::span<const double> scored = part(predicted, settings.score);
        score.r = pearson(scored, recorded);
        const Interval interval = bootstrap_pearson(scored, recorded, inputs.resamples);
        score.r_low = interval.low;
        score.r_high = interval.high;
    }
    if (inputs.recording.repeats == 1) return score;

    const Reliability noise =
        inputs.noise.empty() ? noise_of(inputs, neuron) : inputs.noise[neuron];
    score.split_half = noise.split_half;
    score.cc_max = noise.cc_max;
    score.cc_norm = score.r / noise.cc_max;
    score.fev = noise.fev;
    if (has_prediction)
        score.feve = explained_fraction(trials, part(predicted, settings.score), noise);
    return score;
}

}  // namespace twinscreen
