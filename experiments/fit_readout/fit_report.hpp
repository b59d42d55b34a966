#pragma once

#include <cstddef>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "engine/base/table.hpp"

namespace twinscreen {

/// What fits of several sets of features came to, for people.
struct FitReport {
    struct Set {
        std::string twin;
        std::string subject;
        std::string layer;
        std::size_t features = 0;
    };
    std::vector<Set> sets;
    Table units;
    std::vector<std::size_t> neurons;  ///< row of the recording of each unit
    std::vector<double> lambdas;
    std::vector<std::string> bands;                 ///< of a banded fit; empty: none
    std::vector<std::vector<double>> band_weights;  ///< [choice][band]
    bool has_repeats = false;
    /// Name of a value ("r", "r_untrained", ...) -> [set][unit].
    std::map<std::string, std::vector<std::vector<double>>> values;

    double median_of(const std::string& name, std::size_t set) const;
    /// Of each twin, the set that predicts the images held out from training best (median over
    /// units): chosen without a look at the test images.
    std::vector<std::size_t> best_sets() const;
};

/// The lines of the closing summary.
std::vector<std::string> describe_fit(const FitReport& report);

/// Puts scores.csv (one row per set and unit), score_by_layer.csv (one row per set),
/// score_by_layer.svg and, of a banded fit, bands.csv into the folder.
void write_fit_files(const FitReport& report, const std::filesystem::path& folder);

}  // namespace twinscreen
