#pragma once

#include <array>
#include <limits>

#include "experiments/relational_control/accuracy/recorded_area.hpp"

namespace twinscreen {

/// What predicts a single trial in the noise analysis, from noisy to what should be noiseless.
inline constexpr std::array<const char*, 3> predictor_names{"single trial", "mean of two trials",
                                                            "prediction"};
/// What the two tests of the noise analysis compare.
inline constexpr std::array<const char*, 2> comparison_names{
    "prediction above mean of two trials", "mean of two trials above single trial"};

/// How well the responses of an area are predicted; NaN where there is no answer.
struct AreaAccuracy {
    static constexpr double nan = std::numeric_limits<double>::quiet_NaN();

    double accuracy = nan;           ///< mean over units, share of the explainable variance
    double shuffled_accuracy = nan;  ///< of predictions of other images
    double common_accuracy = nan;    ///< of the mean prediction over units
    double kept_units = nan;
    double scored_units = nan;  ///< kept, and neither side is constant
    double noise_share = nan;   ///< of single trials, left in the means over trials
    double noise_images = nan;  ///< images of the noise analysis
    std::array<double, 3> noise_scores{nan, nan, nan};           ///< by predictor
    std::array<double, 3> shuffled_noise_scores{nan, nan, nan};  ///< of other images
    std::array<PermutationTest, 2> within_units;                 ///< by comparison
    std::array<PermutationTest, 2> pooled;                       ///< as published
};

/// Accuracy of the predictions of an area, and whether they are less noisy than measured responses
/// (Gifford, Jastrzebowska, Singer & Cichy 2024).
///
/// Accuracy is over the images that were shown, with means over their trials and the noise ceiling
/// of these means. The noise analysis takes the first three trials of every image with at least
/// three, and needs three such images. Scores of chance: predictors of one random order of images
/// (stream shuffled_images, items 2 * block.item and 2 * block.item + 1).
///
/// Independent.
AreaAccuracy score_area(const RecordedArea& area, const PermutationBlock& block);

}  // namespace twinscreen
