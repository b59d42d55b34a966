#include "experiments/relational_control/accuracy/area_accuracy.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "experiments/statistics.hpp"
#include "kernels/partial_shuffle.hpp"

namespace twinscreen {
namespace {

constexpr std::size_t trial_count = 3;
constexpr std::size_t fewest_images = 3;

/// Trials of every image, in their order: [images].
using TrialsOfImages = std::vector<std::vector<std::uint32_t>>;

TrialsOfImages trials_of_images(const RecordedArea& area)
{
    TrialsOfImages trials(area.images);
    for (std::uint32_t trial = 0; trial < area.image.size(); ++trial)
        trials[area.image[trial]].push_back(trial);
    return trials;
}

std::vector<std::uint32_t> images_with(const TrialsOfImages& trials, std::size_t fewest)
{
    std::vector<std::uint32_t> images;
    for (std::uint32_t image = 0; image < trials.size(); ++image)
        if (trials[image].size() >= fewest) images.push_back(image);
    return images;
}

/// Mean over the trials of each image [images, units].
std::vector<float> means_over_trials(const RecordedArea& area, const TrialsOfImages& trials,
                                     const std::vector<std::uint32_t>& images)
{
    std::vector<float> means;
    for (const std::uint32_t image : images) {
        std::vector<std::span<const float>> rows;
        for (const std::uint32_t trial : trials[image])
            rows.push_back(std::span(area.measured).subspan(trial * area.units, area.units));
        const std::vector<float> row = mean_of_trials(rows);
        means.insert(means.end(), row.begin(), row.end());
    }
    return means;
}

std::vector<std::uint32_t> random_order(std::size_t images, std::uint64_t seed, std::uint64_t item)
{
    std::vector<std::uint32_t> order(images);
    PartialShuffle(static_cast<std::uint32_t>(images))
        .draw({seed, DrawStream::shuffled_images, item, 0}, order);
    return order;
}

/// The mean over units in the place of every unit.
std::vector<float> common_response(const std::vector<float>& rows, std::size_t units)
{
    std::vector<float> result(rows.size());
    for (std::size_t row = 0; row < rows.size(); row += units) {
        const auto first = rows.begin() + static_cast<std::ptrdiff_t>(row);
        const double sum = std::accumulate(first, first + static_cast<std::ptrdiff_t>(units), 0.0);
        std::fill_n(result.begin() + static_cast<std::ptrdiff_t>(row), units,
                    static_cast<float>(sum / static_cast<double>(units)));
    }
    return result;
}

void add_accuracy(AreaAccuracy& result, const RecordedArea& area, const TrialsOfImages& trials,
                  const PermutationBlock& block)
{
    const std::vector<std::uint32_t> images = images_with(trials, 1);
    const std::vector<float> measured = means_over_trials(area, trials, images);
    const std::vector<float> predicted = rows_in_order(area.predicted, area.units, images);
    std::vector<RepeatedImages> groups;
    for (const std::uint32_t image : images)
        groups.push_back({1.0, static_cast<double>(trials[image].size())});
    result.noise_share = noise_share(groups);
    const auto score = [&](const std::vector<float>& responses) {
        return voxel_accuracy(responses, measured, area.snr, result.noise_share);
    };
    const std::vector<double> accuracy = score(predicted);
    result.accuracy = mean(accuracy);
    result.kept_units = static_cast<double>(area.units);
    result.scored_units = static_cast<double>(
        std::ranges::count_if(accuracy, [](double value) { return !std::isnan(value); }));
    const auto order = random_order(images.size(), block.seed, 2 * std::uint64_t{block.item});
    result.shuffled_accuracy = mean(score(rows_in_order(predicted, area.units, order)));
    result.common_accuracy = mean(score(common_response(predicted, area.units)));
}

void add_noise_analysis(AreaAccuracy& result, const RecordedArea& area,
                        const TrialsOfImages& trials, const PermutationBlock& block)
{
    const std::vector<std::uint32_t> images = images_with(trials, trial_count);
    result.noise_images = static_cast<double>(images.size());
    if (images.size() < fewest_images) return;
    std::array<std::vector<float>, trial_count> single;
    for (std::size_t at = 0; at < trial_count; ++at) {
        std::vector<std::uint32_t> rows;
        for (const std::uint32_t image : images) rows.push_back(trials[image][at]);
        single[at] = rows_in_order(area.measured, area.units, rows);
    }
    const std::array<std::span<const float>, trial_count> views{single[0], single[1], single[2]};
    const std::vector<float> predicted = rows_in_order(area.predicted, area.units, images);
    const auto order = random_order(images.size(), block.seed, 2 * std::uint64_t{block.item} + 1);
    const NoiseScores scores = noise_scores(views, predicted, area.snr);
    const NoiseScores shuffled = noise_scores(views, predicted, area.snr, order);
    const auto means = [](const NoiseScores& of) {
        return std::array<double, 3>{mean(of.single_trials), mean(of.mean_of_two),
                                     mean(of.model_predictions)};
    };
    result.noise_scores = means(scores);
    result.shuffled_noise_scores = means(shuffled);
    if (scores.model_predictions.empty()) return;
    result.within_units = noise_tests(scores, Compat::corrected, block);
    result.pooled = noise_tests(scores, Compat::reference, block);
}

}  // namespace

AreaAccuracy score_area(const RecordedArea& area, const PermutationBlock& block)
{
    const TrialsOfImages trials = trials_of_images(area);
    AreaAccuracy result;
    add_accuracy(result, area, trials, block);
    add_noise_analysis(result, area, trials, block);
    return result;
}

}  // namespace twinscreen
