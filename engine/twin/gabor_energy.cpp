#include "engine/twin/gabor_energy.hpp"

#include <cmath>
#include <limits>
#include <numbers>
#include <utility>

#include <fmt/format.h>

namespace twinscreen {

namespace {

constexpr double pi = std::numbers::pi;

double degrees(double radians) { return radians * 180.0 / pi; }

/// Width of the Gaussian envelope across the bars [deg] for a full width at half amplitude of
/// `octaves` around `frequency` (De Valois, Albrecht & Thorell 1982).
double envelope_sigma(double frequency, double octaves)
{
    const double two_to_b = std::exp2(octaves);
    return std::sqrt(std::log(2.0) / 2.0) / (pi * frequency) * (two_to_b + 1.0) / (two_to_b - 1.0);
}

double dot(const std::vector<double>& a, const std::vector<double>& b)
{
    double sum = 0.0;
    for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
    return sum;
}

void subtract(std::vector<double>& from, const std::vector<double>& direction, double amount)
{
    for (std::size_t i = 0; i < from.size(); ++i) from[i] -= amount * direction[i];
}

void scale(std::vector<double>& values, double factor)
{
    for (double& value : values) value *= factor;
}

double sum(const std::vector<double>& values)
{
    double total = 0.0;
    for (const double value : values) total += value;
    return total;
}

}  // namespace

GaborPopulation::GaborPopulation(GaborParameters parameters) : parameters_(std::move(parameters))
{
    const auto positions = static_cast<std::size_t>(parameters_.positions);
    pairs_ = positions * positions * pairs_per_position();
    filters_.resize(pixels() * 2 * pairs_);
    const double middle = (parameters_.positions - 1) / 2.0;
    std::size_t pair = 0;
    for (int row = 0; row < parameters_.positions; ++row)
        for (int column = 0; column < parameters_.positions; ++column)
            for (const double frequency : parameters_.spatial_frequencies)
                for (int k = 0; k < parameters_.orientations; ++k)
                    fill_pair(pair++, (column - middle) * parameters_.spacing,
                              (middle - row) * parameters_.spacing, frequency,
                              pi * k / parameters_.orientations);
    for (pair = 0; pair < pairs_; ++pair) {
        cells_.push_back({pair, true, 0.0});
        for (int k = 0; k < parameters_.phases; ++k)
            cells_.push_back({pair, false, 2.0 * pi * k / parameters_.phases});
    }
}

std::size_t GaborPopulation::pixels() const noexcept
{
    return static_cast<std::size_t>(parameters_.size) * static_cast<std::size_t>(parameters_.size);
}

std::size_t GaborPopulation::pairs_per_position() const noexcept
{
    return parameters_.spatial_frequencies.size() *
           static_cast<std::size_t>(parameters_.orientations);
}

void GaborPopulation::fill_pair(std::size_t pair, double x, double y, double frequency,
                                double orientation)
{
    const double sigma = envelope_sigma(frequency, parameters_.bandwidth);
    const double length = sigma * parameters_.aspect;
    std::vector<double> envelope(pixels());
    std::vector<double> even(pixels());
    std::vector<double> odd(pixels());
    std::vector<double> grating(pixels());
    const double middle = (parameters_.size - 1) / 2.0;
    for (int i = 0; i < parameters_.size; ++i)
        for (int j = 0; j < parameters_.size; ++j) {
            // x to the right, y upwards [deg]; bars run along the orientation.
            const double dx = (j - middle) * parameters_.degrees_per_pixel - x;
            const double dy = (middle - i) * parameters_.degrees_per_pixel - y;
            const double along = dx * std::cos(orientation) + dy * std::sin(orientation);
            const double across = -dx * std::sin(orientation) + dy * std::cos(orientation);
            const std::size_t at =
                static_cast<std::size_t>(i) * static_cast<std::size_t>(parameters_.size) +
                static_cast<std::size_t>(j);
            const double carrier = 2.0 * pi * frequency * across;
            envelope[at] = std::exp(
                -0.5 * (across * across / (sigma * sigma) + along * along / (length * length)));
            grating[at] = std::cos(carrier);
            even[at] = envelope[at] * grating[at];
            odd[at] = envelope[at] * std::sin(carrier);
        }
    // A uniform screen drives neither filter, and the pair is orthogonal with equal norms: also
    // where the canvas cuts the envelope or the centre lies between pixels.
    subtract(even, envelope, sum(even) / sum(envelope));
    subtract(odd, envelope, sum(odd) / sum(envelope));
    const double even_norm = std::sqrt(dot(even, even));
    scale(even, 1.0 / even_norm);
    subtract(odd, even, dot(odd, even));
    scale(odd, 1.0 / std::sqrt(dot(odd, odd)));
    const double gain = 1.0 / dot(even, grating);
    for (std::size_t at = 0; at < pixels(); ++at) {
        filters_[at * 2 * pairs_ + 2 * pair] = gain * even[at];
        filters_[at * 2 * pairs_ + 2 * pair + 1] = gain * odd[at];
    }
}

Table GaborPopulation::unit_table() const
{
    const double unknown = std::numeric_limits<double>::quiet_NaN();
    const std::size_t count = cells_.size();
    std::vector<std::string> id, kind;
    std::vector<double> x, y, orientation, frequency, phase;
    const double middle = (parameters_.positions - 1) / 2.0;
    const auto orientations = static_cast<std::size_t>(parameters_.orientations);
    for (const Cell& cell : cells_) {
        const std::size_t position = cell.pair / pairs_per_position();
        const std::size_t within = cell.pair % pairs_per_position();
        const auto side = static_cast<std::size_t>(parameters_.positions);
        x.push_back((static_cast<double>(position % side) - middle) * parameters_.spacing);
        y.push_back((middle - static_cast<double>(position / side)) * parameters_.spacing);
        orientation.push_back(180.0 * static_cast<double>(within % orientations) /
                              static_cast<double>(orientations));
        frequency.push_back(parameters_.spatial_frequencies[within / orientations]);
        phase.push_back(cell.complex ? unknown : degrees(cell.phase));
        kind.push_back(cell.complex ? "complex" : "simple");
        id.push_back(fmt::format("p{:02}/sf{:g}/ori{:g}/{}", position, frequency.back(),
                                 orientation.back(),
                                 cell.complex ? "complex" : fmt::format("ph{:g}", phase.back())));
    }
    Table table;
    table.columns = {
        {"id", "", std::move(id)},
        {"subject", "", std::vector<std::string>(count, "gabor")},
        {"area", "", std::vector<std::string>(count, "V1")},
        {"heldout_r", "", std::vector<double>(count, unknown)},
        {"noise_ceiling", "", std::vector<double>(count, unknown)},
        {"x", "deg", std::move(x)},
        {"y", "deg", std::move(y)},
        {"kind", "", std::move(kind)},
        {"orientation", "deg", std::move(orientation)},
        {"spatial_frequency", "cycles/deg", std::move(frequency)},
        {"phase", "deg", std::move(phase)},
    };
    return table;
}

std::vector<double> GaborPopulation::optimal_contrast(std::size_t cell, double phase) const
{
    const Cell& which = cells_.at(cell);
    const double angle = which.complex ? phase : which.phase;
    std::vector<double> image(pixels());
    for (std::size_t at = 0; at < pixels(); ++at) {
        const double* pair = &filters_[at * 2 * pairs_ + 2 * which.pair];
        image[at] = std::cos(angle) * pair[0] + std::sin(angle) * pair[1];
    }
    scale(image, 1.0 / std::sqrt(dot(image, image)));
    return image;
}

}  // namespace twinscreen
