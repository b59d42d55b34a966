#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace twinscreen {

/// Sets that are to be shown to people or animals: `[relational_control.session]`.
struct SessionSettings {
    std::string pair;  ///< "V1 - hV4"; empty: the first pair
    std::size_t pair_index = 0;
    int size = 425;        ///< height and width of the pictures [pixels]
    double grey = 127.0;   ///< level whose luminance all pictures get [0..255]; 0: as they are
    double trial_s = 4.0;  ///< from one onset to the next [s]
    std::uint32_t catch_trials = 5;            ///< in every run
    std::optional<std::uint32_t> runs;         ///< else 10 univariate, 12 multivariate
    std::optional<std::uint32_t> repetitions;  ///< else 6 univariate, 8 multivariate
};

}  // namespace twinscreen
