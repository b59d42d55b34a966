#include "experiments/relational_control/statistics/noise_analysis.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "engine/base/error.hpp"
#include "experiments/statistics.hpp"

namespace twinscreen {
namespace {

constexpr std::size_t trial_count = 3;
constexpr double single_trial = 1.0;  // noise share
constexpr double nan = std::numeric_limits<double>::quiet_NaN();

/// Sum of squared deviations from the mean.
double squares_of(std::span<const double> values)
{
    const double middle = mean(values);
    double squares = 0.0;
    for (const double value : values) squares += (value - middle) * (value - middle);
    return squares;
}

/// Values of one voxel over images.
void read_column(std::span<const float> rows, std::size_t voxels, std::size_t voxel,
                 std::vector<double>& column)
{
    column.resize(rows.size() / voxels);
    for (std::size_t image = 0; image < column.size(); ++image)
        column[image] = static_cast<double>(rows[image * voxels + voxel]);
}

/// Keeps the voxels that are known.
///
/// scores  [evaluations, voxels] one after the other
std::vector<double> known_scores(const std::vector<std::vector<double>>& scores,
                                 const std::vector<bool>& is_known)
{
    std::vector<double> kept;
    for (const auto& evaluation : scores)
        for (std::size_t voxel = 0; voxel < is_known.size(); ++voxel)
            if (is_known[voxel]) kept.push_back(evaluation[voxel]);
    return kept;
}

/// Mean over the evaluations of each voxel.
///
/// scores  [evaluations, voxels]
std::vector<double> voxel_means(const std::vector<double>& scores, std::size_t voxels)
{
    std::vector<double> means(voxels, 0.0);
    for (std::size_t at = 0; at < scores.size(); ++at) means[at % voxels] += scores[at];
    for (double& mean : means)
        mean *= static_cast<double>(voxels) / static_cast<double>(scores.size());
    return means;
}

std::vector<double> differences(const std::vector<double>& first, const std::vector<double>& second)
{
    std::vector<double> result(first.size());
    for (std::size_t at = 0; at < result.size(); ++at) result[at] = first[at] - second[at];
    return result;
}

}  // namespace

double noise_share(std::span<const RepeatedImages> groups)
{
    double noise = 0.0;
    double images = 0.0;
    for (const RepeatedImages& group : groups) {
        noise += group.images / group.repeats;
        images += group.images;
    }
    return noise / images;
}

double noise_ceiling(double snr, double share) noexcept
{
    const double ceiling = 1.0 / (1.0 + share / (snr * snr));  // 1 where snr is infinite
    return ceiling == 0.0 ? 1e-14 : ceiling;
}

double signal_to_noise(std::span<const double> trials, std::span<const std::uint32_t> image)
{
    TWINSCREEN_REQUIRE(trials.size() == image.size(), internal, "{} trials of {} images",
                       trials.size(), image.size());
    std::map<std::uint32_t, std::vector<double>> repeats;
    for (std::size_t trial = 0; trial < trials.size(); ++trial)
        repeats[image[trial]].push_back(trials[trial]);
    double squares = 0.0;
    double freedom = 0.0;
    for (const auto& [id, values] : repeats) {
        squares += squares_of(values);
        freedom += static_cast<double>(values.size() - 1);
    }
    if (freedom == 0.0) return nan;
    const double noise = squares / freedom;
    const double total = squares_of(trials) / static_cast<double>(trials.size());
    const double mean_trial = mean(trials);
    if (total <= 1e-24 * mean_trial * mean_trial) return nan;  // a constant, up to rounding
    return std::sqrt(std::max(0.0, total - noise) / noise);
}

std::vector<double> voxel_accuracy(std::span<const float> predicted,
                                   std::span<const float> measured, std::span<const float> snr,
                                   double share)
{
    const std::size_t voxels = snr.size();
    TWINSCREEN_REQUIRE(
        predicted.size() == measured.size() && voxels > 0 && measured.size() % voxels == 0,
        internal, "{} predicted and {} measured values of {} voxels", predicted.size(),
        measured.size(), voxels);
    std::vector<double> accuracy(voxels);
    std::vector<double> x;
    std::vector<double> y;
    for (std::size_t voxel = 0; voxel < voxels; ++voxel) {
        read_column(predicted, voxels, voxel, x);
        read_column(measured, voxels, voxel, y);
        const double r = pearson(x, y);
        const double positive = r < 0.0 ? 0.0 : r;  // keeps NaN
        const double share_explained =
            positive * positive / noise_ceiling(static_cast<double>(snr[voxel]), share);
        accuracy[voxel] = share_explained > 1.0 ? 1.0 : share_explained;
    }
    return accuracy;
}

std::vector<float> mean_of_trials(std::span<const std::span<const float>> trials)
{
    std::vector<float> means(trials.front().size());
    for (std::size_t at = 0; at < means.size(); ++at) {
        double sum = 0.0;
        for (const auto& trial : trials) sum += static_cast<double>(trial[at]);
        means[at] = static_cast<float>(sum / static_cast<double>(trials.size()));
    }
    return means;
}

NoiseScores noise_scores(const std::array<std::span<const float>, trial_count>& trials,
                         std::span<const float> predicted, std::span<const float> snr,
                         std::span<const std::uint32_t> order)
{
    std::array<std::vector<std::vector<double>>, trial_count> scores;  // by kind of responses
    const auto score = [&](std::span<const float> responses, std::size_t target) {
        const std::vector<float> moved = rows_in_order(responses, snr.size(), order);
        return voxel_accuracy(order.empty() ? responses : moved, trials[target], snr, single_trial);
    };
    for (std::size_t target = 0; target < trial_count; ++target) {
        const std::array<std::span<const float>, 2> others{trials[(target + 1) % trial_count],
                                                           trials[(target + 2) % trial_count]};
        for (const auto& other : others) scores[0].push_back(score(other, target));
        scores[1].push_back(score(mean_of_trials(others), target));
        scores[2].push_back(score(predicted, target));
    }
    std::vector<bool> is_known(snr.size(), true);
    for (const auto& kind : scores)
        for (const auto& evaluation : kind)
            for (std::size_t voxel = 0; voxel < snr.size(); ++voxel)
                if (std::isnan(evaluation[voxel])) is_known[voxel] = false;
    return {known_scores(scores[0], is_known), known_scores(scores[1], is_known),
            known_scores(scores[2], is_known)};
}

std::vector<float> rows_in_order(std::span<const float> table, std::size_t columns,
                                 std::span<const std::uint32_t> order)
{
    std::vector<float> rows;
    rows.reserve(order.size() * columns);
    for (const std::uint32_t row : order) {
        const auto from = table.subspan(row * columns, columns);
        rows.insert(rows.end(), from.begin(), from.end());
    }
    return rows;
}

std::array<PermutationTest, 2> noise_tests(const NoiseScores& scores, Compat compat,
                                           const PermutationBlock& block)
{
    PermutationBlock first = block;
    PermutationBlock second = block;
    first.item = 2 * block.item;
    second.item = 2 * block.item + 1;
    const auto& [single, of_two, predictions] = scores;
    if (compat == Compat::reference)
        return {permute_groups(predictions, of_two, predictions.size(), first),
                permute_groups(of_two, single, of_two.size(), second)};
    const std::size_t voxels = predictions.size() / trial_count;
    const std::vector<double> means = voxel_means(of_two, voxels);
    return {flip_signs(differences(voxel_means(predictions, voxels), means), first),
            flip_signs(differences(means, voxel_means(single, voxels)), second)};
}

}  // namespace twinscreen
