#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace twinscreen {

/// Maps of images and the responses to them.
struct MappedImages {
    std::span<const float> maps;        ///< [images, pixels, channels]
    std::span<const double> responses;  ///< [images, responses]
};

struct FactorisedSettings {
    std::size_t channels = 0;
    std::size_t pixels = 0;
    std::vector<double> penalties;     ///< to choose from, ascending, above 0
    int rounds = 20;                   ///< of five iterations each; the best one is kept
    std::function<void()> check_stop;  ///< called in each iteration; may throw
};

/// y = intercept + sum over pixels of pixel weight * (sum over channels of channel weight * map).
struct FactorisedFit {
    std::vector<double> channel_weights;  ///< [channels, responses]
    std::vector<double> pixel_weights;    ///< [pixels, responses]
    std::vector<double> intercept;        ///< [responses]
    std::vector<std::uint32_t> penalty;   ///< [units] index into the penalties
    std::vector<std::uint32_t> rounds;    ///< [units] that were fitted
    std::vector<double> validation_r2;    ///< [units] 1 - squared error / that of the training mean

    /// maps [images, pixels, channels] -> [images, responses]. Independent.
    std::vector<double> predict(std::span<const float> maps) const;
};

/// Factorised readouts, space x feature (Klindt et al. 2017), by L-BFGS (Liu & Nocedal 1989).
/// Channels are scaled to unit variance over images and pixels. The pixel weights begin alike and
/// the channel weights at 0; the mean squared error of z-scored responses is minimised beside
/// penalty * (|channel weights|^2 + mean over pixels of (pixels * pixel weight - 1)^2), so that a
/// large penalty gives a readout of mean maps. Penalty and rounds are those with the least error on
/// the validation images, for each unit; then the fit is repeated on all images.
///
/// units  the first so many responses choose; response units + u, if there is one, is fitted as
/// unit u
///        (a control)
///
/// Independent; in single precision, on the compute threads.
FactorisedFit fit_factorised(const MappedImages& train, const MappedImages& validation,
                             std::size_t units, const FactorisedSettings& settings);

}  // namespace twinscreen
