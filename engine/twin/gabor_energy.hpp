#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "engine/base/table.hpp"

namespace twinscreen {

struct GaborParameters {
    int size = 64;                   ///< side of the square canvas [pixels]
    double degrees_per_pixel = 0.1;  ///< [deg]
    int positions = 5;               ///< receptive-field centres per side of a square grid
    double spacing = 1.0;            ///< between neighbouring centres [deg]
    int orientations = 8;            ///< equally spaced over 180 deg
    std::vector<double> spatial_frequencies = {0.5, 1.0, 2.0};  ///< [cycles/deg]
    int phases = 4;          ///< simple cells per pair, equally spaced over 360 deg
    double bandwidth = 1.5;  ///< full width at half amplitude [octaves]
    double aspect = 1.5;     ///< length along the bars over width across them
    bool normalisation = true;
    double semi_saturation = 0.2;  ///< contrast of the preferred grating [0..1]
    double max_rate = 60.0;        ///< [spikes/s] at saturation
    double background = 127.5;     ///< grey level of zero contrast [0..255]

    /// Pairs at all positions, and cells of all pairs.
    double pair_count() const noexcept
    {
        return static_cast<double>(spatial_frequencies.size()) * positions * positions *
               orientations;
    }
    double cell_count() const noexcept { return pair_count() * (1.0 + phases); }
    /// Values of all filters together.
    double filter_values() const noexcept { return 2.0 * size * size * pair_count(); }
};

/// A V1 population of quadrature pairs of Gabor filters (Adelson & Bergen 1985) over position,
/// spatial frequency and orientation; each pair carries one complex cell and `phases` simple cells.
///
/// The two filters of a pair have equal norm, are orthogonal to each other and to a uniform screen,
/// and answer their preferred grating of contrast 1 that fills the canvas with energy 1.
class GaborPopulation {
public:
    explicit GaborPopulation(GaborParameters parameters);

    struct Cell {
        std::size_t pair = 0;
        bool complex = false;
        double phase = 0.0;  ///< [rad]; of simple cells
    };

    const GaborParameters& parameters() const noexcept { return parameters_; }
    std::size_t pixels() const noexcept;
    std::size_t pairs() const noexcept { return pairs_; }
    /// Pairs of one position are consecutive: the pool of divisive normalisation.
    std::size_t pairs_per_position() const noexcept;
    const std::vector<Cell>& cells() const noexcept { return cells_; }
    /// [pixels, 2 * pairs]: column 2 p is the even filter of pair p, 2 p + 1 the odd one.
    const std::vector<double>& filters() const noexcept { return filters_; }
    /// Columns id, subject, area, heldout_r, noise_ceiling, x, y, kind, orientation,
    /// spatial_frequency, phase.
    Table unit_table() const;
    /// The contrast image of norm 1 that drives a cell most when nothing is normalised. A complex
    /// cell has one such image for every phase: cos(phase) even + sin(phase) odd; of a simple cell
    /// it is the filter itself and `phase` is ignored.
    std::vector<double> optimal_contrast(std::size_t cell, double phase) const;

private:
    void fill_pair(std::size_t pair, double x, double y, double frequency, double orientation);

    GaborParameters parameters_;
    std::size_t pairs_ = 0;
    std::vector<double> filters_;
    std::vector<Cell> cells_;
};

}  // namespace twinscreen
