#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "engine/config/section.hpp"
#include "experiments/fit_readout/image_split.hpp"

namespace twinscreen {

/// What `[fit_readout]` of a campaign asks for.
struct FitSettings {
    std::filesystem::path responses;
    std::string layout;
    std::filesystem::path unit_table;  ///< of the recorded units; empty: numbered
    std::string subject;
    std::string area;
    bool leave_out_unusable = false;  ///< units that cannot be fitted are left out, not refused

    SplitSettings split;
    bool allow_leakage = false;

    bool factorised = false;  ///< space x feature by L-BFGS, instead of ridge regression
    int rounds = 20;          ///< of the factorised fit, at most
    std::vector<double> lambdas;
    bool standardise = true;
    std::int64_t components = 0;
    bool together = false;         ///< one fit on all areas instead of one fit each
    std::uint32_t band_draws = 0;  ///< candidates of band weights; 0: no bands

    bool untrained = true;  ///< fit the untrained networks of the same shape as well
    std::string bundles;    ///< "best", "all" or "none"
    std::uint32_t resamples = 1000;
    std::uint32_t halvings = 100;
};

/// Reads all keys; mistakes are complained of in the section.
FitSettings read_fit_settings(ConfigSection& section);

}  // namespace twinscreen
