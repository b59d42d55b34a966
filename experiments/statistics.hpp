#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace twinscreen {

/// Pearson correlation of the pairs without NaN; NaN below two such pairs or where one side does
/// not vary.
double pearson(std::span<const double> x, std::span<const double> y);
/// Mean of the values that are not NaN; NaN if there are none.
double mean(std::span<const double> values);
/// Median of the values that are not NaN; NaN if there are none.
double median(std::vector<double> values);
/// Quantile q in 0..1 with linear interpolation (as numpy) of the values that are not NaN.
double quantile(std::vector<double> values, double q);

/// Interval of a statistic over resamples.
struct Interval {
    double low = 0.0;
    double high = 0.0;
};

/// Random images of all resamples [resamples, images], shared by all neurons. Draw j of resample b
/// stands at address (seed, bootstrap, b, j / 4), word j mod 4.
std::vector<std::uint32_t> draw_resamples(std::uint32_t images, std::uint32_t resamples,
                                          std::uint64_t seed);
/// 95 % percentile bootstrap over images of Pearson's r (Efron & Tibshirani 1993).
///
/// x, y       [images]
/// resamples  [any, images] as drawn by `draw_resamples`
Interval bootstrap_pearson(std::span<const double> x, std::span<const double> y,
                           std::span<const std::uint32_t> resamples);

/// Least-squares line y = intercept + slope * x through the pairs without NaN.
struct Line {
    double intercept = 0.0;
    double slope = 0.0;
};
Line fit_line(std::span<const double> x, std::span<const double> y);

/// Repeated recordings of one neuron: [images, repeats], NaN where a repeat is missing.
struct Repeats {
    std::span<const double> values;
    std::size_t images = 0;
    std::size_t repeats = 0;

    double at(std::size_t image, std::size_t repeat) const
    {
        return values[image * repeats + repeat];
    }
};

/// Mean over the repeats that exist [images]; NaN for an image without any.
std::vector<double> mean_over_repeats(const Repeats& recorded);

/// How reliable a neuron's responses are.
struct Reliability {
    /// Correlation of the means of two halves of the repeats, mean over random halvings,
    /// corrected to full length by Spearman & Brown (1910): 2 r / (1 + r).
    double split_half = 0.0;
    /// Largest correlation that any prediction can reach with the averaged responses:
    /// sqrt(signal power / variance of the averages) (Schoppe et al. 2016, eqs. 5-7). With unequal
    /// numbers of repeats n_i the noise of the averages is the mean over images of s_i^2 / n_i,
    /// which is their formula for equal n. NaN where the signal power is not positive.
    double cc_max = 0.0;
    /// Share of the single-trial variance that is not noise: (total - noise) / total, with
    /// noise = mean over images of the variance over repeats (Cadena et al. 2019).
    double fev = 0.0;
    double noise_variance = 0.0;  ///< of single trials [response unit squared]
    double total_variance = 0.0;  ///< of all single trials [response unit squared]
};

/// `halvings` random halvings, drawn at (seed, bootstrap, stream item 2^63 + h, image).
Reliability reliability(const Repeats& recorded, std::uint64_t seed, std::uint32_t halvings);

/// Fraction of explainable variance explained, 1 - (MSE - noise) / (total - noise), with the mean
/// squared error of single trials (Cadena et al. 2019). Images whose prediction is NaN are left
/// out. NaN where fev < 0.15, as they do.
double explained_fraction(const Repeats& recorded, std::span<const double> predicted,
                          const Reliability& neuron);

}  // namespace twinscreen
