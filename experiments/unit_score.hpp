#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "experiments/item_span.hpp"
#include "experiments/recording.hpp"
#include "experiments/statistics.hpp"

namespace twinscreen {

struct ScoreSettings {
    ItemSpan fit;    ///< items that baselines (and the affine line) are fitted on
    ItemSpan score;  ///< items that are scored
    std::uint32_t resamples = 1000;
    std::uint32_t halvings = 100;
    bool affine = false;  ///< predictions are brought to the recording's scale on the fit items
};

/// Scores of one unit on the scored items; NaN where a value does not exist.
struct UnitScore {
    double r = 0.0;      ///< Pearson, predicted against recorded averages
    double r_low = 0.0;  ///< 95 % bootstrap interval over images
    double r_high = 0.0;
    double r_constant = 0.0;   ///< baseline: a constant explains nothing, 0
    double r_luminance = 0.0;  ///< baseline: line on mean luminance, fitted on the fit items
    double split_half = 0.0;
    double cc_max = 0.0;
    double cc_norm = 0.0;  ///< r / cc_max (Schoppe et al. 2016)
    double fev = 0.0;
    double feve = 0.0;  ///< Cadena et al. (2019)
};

/// All values NaN but that of the constant baseline.
UnitScore unknown_score();

/// A value per unit, as a summary column of the store.
struct ScoreColumn {
    const char* name;
    const char* text;
    double UnitScore::*value;
};

/// The columns that a recording allows: without repeats there are no noise ceilings.
std::vector<ScoreColumn> score_columns(std::size_t repeats);

/// What all units are scored with.
///
/// luminance  [items] mean luminance of each stimulus, for the baseline
/// resamples  as drawn by draw_resamples for settings.score.count() images; empty: no interval
/// noise      [neurons] on the scored items, as found before; empty: found here
struct ScoreInputs {
    const ScoreSettings& settings;
    const Recording& recording;
    std::span<const double> luminance;
    std::span<const std::uint32_t> resamples;
    std::uint64_t seed = 0;
    std::span<const Reliability> noise = {};
};

/// How reliable a neuron is on the scored items.
Reliability noise_of(const ScoreInputs& inputs, std::size_t neuron);

/// One neuron of the recording against its prediction [items]; an empty prediction gives the
/// ceilings and the baseline only.
UnitScore score_unit(const ScoreInputs& inputs, std::size_t neuron, std::vector<double> predicted);

}  // namespace twinscreen
