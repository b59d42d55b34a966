#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "experiments/relational_control/statistics/group_difference.hpp"
#include "experiments/relational_control/study/compat.hpp"

namespace twinscreen {

/// Accuracy of predicted responses against a noise ceiling, and whether they are less noisy than
/// measured ones (Gifford, Jastrzebowska, Singer & Cichy 2024).

/// Images that were shown equally often.
struct RepeatedImages {
    double images = 0.0;
    double repeats = 0.0;
};

/// Share of the single-trial noise variance that is left in means over repeats: the sum of images /
/// repeats over all images. 1/3 where all were shown three times, 1 for single trials.
double noise_share(std::span<const RepeatedImages> groups);

/// Largest share of variance that any prediction can explain: snr^2 / (snr^2 + share) (Allen et al.
/// 2022); 1e-14 instead of 0.
///
/// snr  standard deviation of the signal over that of the noise of single trials; infinite: 1
double noise_ceiling(double snr, double share) noexcept;

/// Signal-to-noise ratio of one voxel. The noise variance is the unbiased variance over the repeats
/// of an image, pooled over images by degrees of freedom; the signal variance is the variance of
/// all trials (divisor trials) minus it, at least 0.
///
/// trials   [trials]  z-scored or not
/// image    [trials]  which image a trial showed
/// returns  infinite without noise; NaN where no image was repeated, and of a constant
double signal_to_noise(std::span<const double> trials, std::span<const std::uint32_t> image);

/// Share of the explainable variance that is explained, for each voxel: min(max(r, 0)^2 / ceiling,
/// 1) with Pearson's r over images.
///
/// predicted, measured  [images, voxels]
/// snr                  [voxels]  voxels below a threshold must have been left out
/// returns              [voxels]  NaN where a side does not vary
std::vector<double> voxel_accuracy(std::span<const float> predicted,
                                   std::span<const float> measured, std::span<const float> snr,
                                   double share);

/// Mean over trials, element by element.
///
/// trials   any number, of equal length
std::vector<float> mean_of_trials(std::span<const std::span<const float>> trials);

/// Accuracies with which a single trial is predicted by three kinds of responses, each with the
/// ceiling of single trials.
struct NoiseScores {
    std::vector<double> single_trials;      // [6, voxels] each of the two other trials
    std::vector<double> mean_of_two;        // [3, voxels] the mean of the two others
    std::vector<double> model_predictions;  // [3, voxels]
};

/// Every trial is a target once. Voxels with an unknown accuracy are left out everywhere.
///
/// trials     [3][images, voxels]
/// predicted  [images, voxels]
/// snr        [voxels]
/// order      [images]  the response to which image predicts each image: a permutation gives the
///            scores of chance; empty: its own
NoiseScores noise_scores(const std::array<std::span<const float>, 3>& trials,
                         std::span<const float> predicted, std::span<const float> snr,
                         std::span<const std::uint32_t> order = {});

/// Rows of a table [rows, columns] in another order: row i of the result is row order[i].
std::vector<float> rows_in_order(std::span<const float> table, std::size_t columns,
                                 std::span<const std::uint32_t> order);

/// Two one-sided tests: model predictions above means of two trials, and these above single trials.
/// Correct their p-values as one family.
///
/// As published (Compat::reference), all scores of all voxels are exchanged freely, as if voxels
/// were alike: where their signal-to-noise ratios differ, these differences make the null wide and
/// hide effects. Corrected, the mean scores of a voxel under both conditions are swapped as a pair:
/// exact where the noise of one voxel is independent of that of the others. Noise that voxels share
/// makes p too small in both; `flip_signs` of the effects of subjects does not suffer from it.
///
/// scores      of at least one voxel
/// block.item  draws stand at items 2 * item and 2 * item + 1
std::array<PermutationTest, 2> noise_tests(const NoiseScores& scores, Compat compat,
                                           const PermutationBlock& block);

}  // namespace twinscreen
