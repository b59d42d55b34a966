#include "experiments/statistics.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "kernels/random.hpp"

namespace twinscreen {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

void drop_nan(std::vector<double>& values)
{
    std::erase_if(values, [](double value) { return std::isnan(value); });
}

double mean_of(std::span<const double> values)
{
    return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

/// Sum of squared deviations from the mean, in two passes.
double deviations(std::span<const double> values)
{
    const double mean = mean_of(values);
    double sum = 0.0;
    for (const double value : values) sum += (value - mean) * (value - mean);
    return sum;
}

/// Variance with divisor n - 1; NaN below two values.
double sample_variance(std::span<const double> values)
{
    return values.size() < 2 ? nan : deviations(values) / static_cast<double>(values.size() - 1);
}

std::vector<double> repeats_of(const Repeats& recorded, std::size_t image)
{
    std::vector<double> values;
    for (std::size_t repeat = 0; repeat < recorded.repeats; ++repeat)
        if (!std::isnan(recorded.at(image, repeat))) values.push_back(recorded.at(image, repeat));
    return values;
}

/// Means of two random halves of the repeats of every image that has at least two.
double halving_correlation(const Repeats& recorded, std::uint64_t seed, std::uint32_t halving)
{
    std::vector<double> first;
    std::vector<double> second;
    for (std::size_t image = 0; image < recorded.images; ++image) {
        std::vector<double> values = repeats_of(recorded, image);
        if (values.size() < 2) continue;
        // Fisher-Yates with one addressed draw per place.
        for (std::size_t place = values.size() - 1; place > 0; --place) {
            const auto bits =
                draw_bits({seed, DrawStream::bootstrap,
                           (std::uint64_t{1} << 63U) + (std::uint64_t{halving} << 32U) + image,
                           static_cast<std::uint32_t>(place)});
            std::swap(values[place], values[below(bits[0], static_cast<std::uint32_t>(place + 1))]);
        }
        const std::span<const double> all(values);
        const std::size_t half = values.size() / 2;
        first.push_back(mean_of(all.first(half)));
        second.push_back(mean_of(all.subspan(half, half)));
    }
    return pearson(first, second);
}

/// Sums of squares and products of deviations from the means.
struct Products {
    double mean_x = 0.0;
    double mean_y = 0.0;
    double xx = 0.0;
    double yy = 0.0;
    double xy = 0.0;
    std::size_t pairs = 0;
};

Products products_of(std::span<const double> x, std::span<const double> y)
{
    Products sums;
    const auto is_pair = [&](std::size_t at) { return !std::isnan(x[at]) && !std::isnan(y[at]); };
    for (std::size_t at = 0; at < x.size(); ++at) {
        if (!is_pair(at)) continue;
        sums.mean_x += x[at];
        sums.mean_y += y[at];
        ++sums.pairs;
    }
    sums.mean_x /= static_cast<double>(sums.pairs);
    sums.mean_y /= static_cast<double>(sums.pairs);
    for (std::size_t at = 0; at < x.size(); ++at) {
        if (!is_pair(at)) continue;
        const double dx = x[at] - sums.mean_x;
        const double dy = y[at] - sums.mean_y;
        sums.xx += dx * dx;
        sums.yy += dy * dy;
        sums.xy += dx * dy;
    }
    return sums;
}

}  // namespace

double pearson(std::span<const double> x, std::span<const double> y)
{
    const Products sums = products_of(x, y);
    if (sums.pairs < 2) return nan;
    // A constant has deviations of rounding size only.
    const auto pairs = static_cast<double>(sums.pairs);
    const bool varies = sums.xx > 1e-24 * sums.mean_x * sums.mean_x * pairs &&
                        sums.yy > 1e-24 * sums.mean_y * sums.mean_y * pairs;
    return varies ? sums.xy / std::sqrt(sums.xx * sums.yy) : nan;
}

double quantile(std::vector<double> values, double q)
{
    drop_nan(values);
    if (values.empty()) return nan;
    std::ranges::sort(values);
    const double place = q * static_cast<double>(values.size() - 1);
    const auto below_place = static_cast<std::size_t>(place);
    const std::size_t above_place = std::min(below_place + 1, values.size() - 1);
    const double share = place - static_cast<double>(below_place);
    return values[below_place] + share * (values[above_place] - values[below_place]);
}

double mean(std::span<const double> values)
{
    double sum = 0.0;
    std::size_t count = 0;
    for (const double value : values) {
        if (std::isnan(value)) continue;
        sum += value;
        ++count;
    }
    return sum / static_cast<double>(count);
}

double median(std::vector<double> values) { return quantile(std::move(values), 0.5); }

std::vector<std::uint32_t> draw_resamples(std::uint32_t images, std::uint32_t resamples,
                                          std::uint64_t seed)
{
    std::vector<std::uint32_t> drawn;
    drawn.reserve(std::size_t{images} * resamples);
    for (std::uint32_t resample = 0; resample < resamples; ++resample)
        for (std::uint32_t at = 0; at < images; ++at) {
            const auto bits = draw_bits({seed, DrawStream::bootstrap, resample, at / 4});
            drawn.push_back(below(bits[at % 4], images));
        }
    return drawn;
}

Interval bootstrap_pearson(std::span<const double> x, std::span<const double> y,
                           std::span<const std::uint32_t> resamples)
{
    const std::size_t images = x.size();
    if (images < 2) return {nan, nan};
    std::vector<double> drawn_x(images);
    std::vector<double> drawn_y(images);
    std::vector<double> correlations;
    for (; resamples.size() >= images; resamples = resamples.subspan(images)) {
        for (std::size_t at = 0; at < images; ++at) {
            drawn_x[at] = x[resamples[at]];
            drawn_y[at] = y[resamples[at]];
        }
        correlations.push_back(pearson(drawn_x, drawn_y));
    }
    return {quantile(correlations, 0.025), quantile(correlations, 0.975)};
}

Line fit_line(std::span<const double> x, std::span<const double> y)
{
    const Products sums = products_of(x, y);
    if (sums.pairs == 0) return {nan, nan};
    const double slope = sums.xx > 0.0 ? sums.xy / sums.xx : 0.0;
    return {sums.mean_y - slope * sums.mean_x, slope};
}

std::vector<double> mean_over_repeats(const Repeats& recorded)
{
    std::vector<double> means(recorded.images);
    for (std::size_t image = 0; image < recorded.images; ++image) {
        const std::vector<double> values = repeats_of(recorded, image);
        means[image] = values.empty() ? nan : mean_of(values);
    }
    return means;
}

Reliability reliability(const Repeats& recorded, std::uint64_t seed, std::uint32_t halvings)
{
    Reliability result;
    std::vector<double> averages;
    std::vector<double> trials;
    double noise = 0.0;          // sum over images of the variance over repeats
    double noise_of_mean = 0.0;  // the same, divided by the number of repeats
    std::size_t repeated = 0;
    for (std::size_t image = 0; image < recorded.images; ++image) {
        const std::vector<double> values = repeats_of(recorded, image);
        trials.insert(trials.end(), values.begin(), values.end());
        if (values.size() < 2) continue;
        ++repeated;
        averages.push_back(mean_of(values));
        const double variance = sample_variance(values);
        noise += variance;
        noise_of_mean += variance / static_cast<double>(values.size());
    }
    if (repeated < 2) return {nan, nan, nan, nan, nan};
    result.noise_variance = noise / static_cast<double>(repeated);
    result.total_variance = sample_variance(trials);
    result.fev = (result.total_variance - result.noise_variance) / result.total_variance;

    const double variance = sample_variance(averages);
    const double signal = variance - noise_of_mean / static_cast<double>(repeated);
    result.cc_max = signal > 0.0 ? std::sqrt(signal / variance) : nan;

    double sum = 0.0;
    for (std::uint32_t halving = 0; halving < halvings; ++halving)
        sum += halving_correlation(recorded, seed, halving);
    const double half = sum / static_cast<double>(halvings);
    result.split_half = 2.0 * half / (1.0 + half);
    return result;
}

double explained_fraction(const Repeats& recorded, std::span<const double> predicted,
                          const Reliability& neuron)
{
    constexpr double least_fev = 0.15;
    if (!(neuron.fev >= least_fev)) return nan;
    double squares = 0.0;
    std::size_t trials = 0;
    for (std::size_t image = 0; image < recorded.images; ++image)
        for (const double value : repeats_of(recorded, image)) {
            if (std::isnan(predicted[image])) continue;
            squares += (value - predicted[image]) * (value - predicted[image]);
            ++trials;
        }
    const double error = squares / static_cast<double>(trials);
    return 1.0 - (error - neuron.noise_variance) / (neuron.total_variance - neuron.noise_variance);
}

}  // namespace twinscreen
