#include "experiments/relational_control/labels/label_effects.hpp"

#include <cmath>
#include <numeric>

#include "experiments/relational_control/statistics/group_difference.hpp"

namespace twinscreen {
namespace {

/// Patterns of mean 0 and norm 1 [images, count].
std::vector<double> normalised(const ImageResponses& responses, std::size_t first,
                               std::size_t count)
{
    std::vector<double> patterns(responses.images * count);
    for (std::size_t image = 0; image < responses.images; ++image) {
        double sum = 0.0, squares = 0.0;
        for (std::size_t unit = 0; unit < count; ++unit) sum += responses.at(image, first + unit);
        const double mean = sum / static_cast<double>(count);
        const std::span pattern = std::span(patterns).subspan(image * count, count);
        for (std::size_t unit = 0; unit < count; ++unit) {
            pattern[unit] = responses.at(image, first + unit) - mean;
            squares += pattern[unit] * pattern[unit];
        }
        for (double& value : pattern) value /= std::sqrt(squares);
    }
    return patterns;
}

/// Mean of each unit over the images.
std::vector<double> unit_means(const ImageResponses& responses, std::span<const std::size_t> images,
                               std::span<const std::uint32_t> columns)
{
    std::vector<double> means;
    for (const std::uint32_t column : columns) {
        double sum = 0.0;
        for (const std::size_t image : images) sum += responses.at(image, column);
        means.push_back(sum / static_cast<double>(images.size()));
    }
    return means;
}

}  // namespace

std::vector<double> pattern_correlations(const ImageResponses& responses, std::size_t first,
                                         std::size_t count)
{
    const std::vector<double> patterns = normalised(responses, first, count);
    const std::size_t images = responses.images;
    std::vector<double> similarity(images * images, 1.0);
    for (std::size_t a = 0; a < images; ++a)
        for (std::size_t b = 0; b < a; ++b) {
            const auto first_unit = patterns.begin() + static_cast<std::ptrdiff_t>(a * count);
            similarity[a * images + b] = similarity[b * images + a] =
                std::inner_product(first_unit, first_unit + static_cast<std::ptrdiff_t>(count),
                                   patterns.begin() + static_cast<std::ptrdiff_t>(b * count), 0.0);
        }
    return similarity;
}

std::array<double, 3> means_by_label(std::span<const double> similarity,
                                     std::span<const std::size_t> labels)
{
    std::array<double, 3> sums{}, counts{};
    for (std::size_t a = 0; a < labels.size(); ++a)
        for (std::size_t b = 0; b < a; ++b) {
            const std::size_t group = labels[a] == labels[b] ? labels[a] : 2;
            sums[group] += similarity[a * labels.size() + b];
            counts[group] += 1.0;
        }
    for (std::size_t group = 0; group < sums.size(); ++group) sums[group] /= counts[group];
    return sums;
}

PartEffect test_parts(const ImageResponses& responses, std::span<const std::size_t> images,
                      const std::array<std::span<const std::uint32_t>, 2>& parts,
                      std::size_t prefer, Compat compat, const PermutationBlock& block)
{
    PartEffect effect;
    std::array<std::vector<double>, 2> means;
    for (std::size_t part = 0; part < 2; ++part) {
        means[part] = unit_means(responses, images, parts[part]);
        effect.response[part] = std::accumulate(means[part].begin(), means[part].end(), 0.0) /
                                static_cast<double>(means[part].size());
    }
    const std::vector<double>& more = means[prefer];
    const std::vector<double>& less = means[1 - prefer];
    const auto test = [&](Compat how) {
        const std::size_t half = (more.size() + less.size()) / 2;
        return how == Compat::reference
                   ? permute_groups(more, less, half, block)
                   : permute_groups(more, less, more.size(), block, Tail::at_least);
    };
    effect.test = test(compat);
    effect.other = test(compat == Compat::reference ? Compat::corrected : Compat::reference);
    return effect;
}

}  // namespace twinscreen
