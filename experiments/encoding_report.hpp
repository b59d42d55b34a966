#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace twinscreen {

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

}  // namespace twinscreen
