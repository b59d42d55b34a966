#pragma once

#include <span>
#include <vector>

#include "kernels/random.hpp"

namespace twinscreen {

// Drawing of synthetic stimuli. Positions are measured from the centre of the canvas, x to the
// right and y upwards [pixels]. Results are grey values [height, width], cut to 0..255, in which
// contrast is relative to the background: background * (1 + contrast * pattern).

struct DrawingCanvas {
    int height = 0;
    int width = 0;
    float background = 127.5F;  ///< [0..255]
};

/// A carrier cos(2 pi f (-x sin(o) + y cos(o)) - p): bars run along the orientation o, counted
/// counter-clockwise from the horizontal; a growing phase p moves them across.
struct Wave {
    double frequency = 0.0;    ///< [cycles/pixel]
    double orientation = 0.0;  ///< [rad]
    double phase = 0.0;        ///< [rad]
};

enum class WaveShape { sine, square };
enum class Aperture { none, circle, gaussian };

struct Window {
    Aperture aperture = Aperture::none;
    double x = 0.0;            ///< centre [pixels]
    double y = 0.0;            ///< centre [pixels]
    double radius = 0.0;       ///< of a circle, whose edge is one pixel soft [pixels]
    double sigma = 0.0;        ///< of a Gaussian, across the bars [pixels]
    double aspect = 1.0;       ///< of a Gaussian: sigma along the bars over sigma across
    double orientation = 0.0;  ///< of the bars [rad]
};

/// The mean of the waves, which are centred in the window, times the window.
void draw_waves(const DrawingCanvas& canvas, std::span<const Wave> waves, WaveShape shape,
                double contrast, const Window& window, float* grey);

/// A ring (a disk for inner = 0) with edges one pixel soft; negative contrast is darker.
struct Ring {
    double x = 0.0;      ///< [pixels]
    double y = 0.0;      ///< [pixels]
    double inner = 0.0;  ///< radius [pixels]
    double outer = 0.0;  ///< radius [pixels]
};
void draw_ring(const DrawingCanvas& canvas, const Ring& ring, double contrast, float* grey);

enum class Polarity { both, light, dark };

/// `squares` squares on a lattice of `size` pixels that is centred in the canvas; two of them may
/// fall on one place. Uses the draws base.index = 0 ... squares - 1.
void draw_sparse_squares(const DrawingCanvas& canvas, DrawAddress base, int squares, double size,
                         double contrast, Polarity polarity, float* grey);

enum class NoiseValues { gaussian, binary };

/// Independent values on checks of `size` pixels from the upper left corner: Gaussian with standard
/// deviation `contrast`, or plus and minus `contrast`.
void draw_white_noise(const DrawingCanvas& canvas, DrawAddress base, double size, double contrast,
                      NoiseValues values, float* grey);

/// What noise of one size and exponent needs: orthonormal real Fourier bases of both axes and the
/// amplitude of each of their products, scaled to a pixel variance of 1.
struct NoiseSpectrum {
    int height = 0;
    int width = 0;
    std::vector<float> row_basis;     ///< [height, height] frequency, pixel
    std::vector<float> column_basis;  ///< [width, width] frequency, pixel
    std::vector<float> amplitude;     ///< [height, width] by row and column frequency
};

/// Amplitude proportional to 1 / f^alpha, f in cycles per pixel; none at f = 0.
NoiseSpectrum make_noise_spectrum(int height, int width, double alpha);

/// A stationary, periodic Gaussian field with that spectrum: normal draws for all Fourier
/// coefficients, transformed exactly. `contrast` is the standard deviation.
void draw_coloured_noise(const DrawingCanvas& canvas, DrawAddress base,
                         const NoiseSpectrum& spectrum, double contrast, float* grey);

/// Overlapping opaque disks, uniform in place and in grey value within +- contrast, radii with
/// density r^-3 between the bounds [pixels]: the scale-invariant dead leaves of Lee, Mumford &
/// Huang (2001), drawn from front to back until the canvas is full.
void draw_dead_leaves(const DrawingCanvas& canvas, DrawAddress base, double smallest,
                      double largest, double contrast, float* grey);

}  // namespace twinscreen
