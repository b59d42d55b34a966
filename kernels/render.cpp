#include "kernels/render.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "kernels/for_each.hpp"
#include "kernels/vectorise.hpp"

namespace twinscreen {
namespace {

inline float grey_value(float background, float pattern)
{
    return std::clamp(background + background * pattern, 0.0F, 255.0F);
}

/// x of each column and y of each row, from a centre [pixels].
double x_of(const DrawingCanvas& canvas, int column) { return column + 0.5 - 0.5 * canvas.width; }
double y_of(const DrawingCanvas& canvas, int row) { return 0.5 * canvas.height - row - 0.5; }

/// What a row of a pattern of waves needs. A wave is a product of sums: with a from the column and
/// b from the row, cos(a + b) = cos a cos b - sin a sin b, so that no pixel needs a cosine.
struct WaveTables {
    std::vector<float> column_cos;  // [waves, width]
    std::vector<float> column_sin;  // [waves, width]
    std::vector<float> row_cos;     // [waves, height]
    std::vector<float> row_sin;     // [waves, height]
    std::vector<float> x;           // [width] from the centre of the window
    std::vector<float> bell;        // [width] Gaussian factor of the column
    std::vector<float> line;        // [width] scratch of one row
};

TWINSCREEN_VECTOR_CLONES
void add_sine(const float* __restrict__ c, const float* __restrict__ s, float rc, float rs,
              float weight, int width, float* __restrict__ line)
{
    for (int i = 0; i < width; ++i) line[i] += weight * (c[i] * rc - s[i] * rs);
}

TWINSCREEN_VECTOR_CLONES
void add_square(const float* __restrict__ c, const float* __restrict__ s, float rc, float rs,
                float weight, int width, float* __restrict__ line)
{
    for (int i = 0; i < width; ++i) line[i] += c[i] * rc - s[i] * rs >= 0.0F ? weight : -weight;
}

TWINSCREEN_VECTOR_CLONES
void multiply_circle(const float* __restrict__ x, float y, float radius, int width,
                     float* __restrict__ line)
{
    for (int i = 0; i < width; ++i) {
        const float inside = radius + 0.5F - std::sqrt(x[i] * x[i] + y * y);
        line[i] *= inside < 0.0F ? 0.0F : inside > 1.0F ? 1.0F : inside;
    }
}

TWINSCREEN_VECTOR_CLONES
void multiply_bell(const float* __restrict__ bell, float row_factor, int width,
                   float* __restrict__ line)
{
    for (int i = 0; i < width; ++i) line[i] *= bell[i] * row_factor;
}

TWINSCREEN_VECTOR_CLONES
void finish_row(const float* __restrict__ line, float background, int width,
                float* __restrict__ grey)
{
    for (int i = 0; i < width; ++i) {
        const float value = background + background * line[i];
        grey[i] = value < 0.0F ? 0.0F : value > 255.0F ? 255.0F : value;
    }
}

struct WaveRow {
    WaveTables* tables;
    DrawingCanvas canvas;
    Window window;
    WaveShape shape;
    int waves;
    float weight;  // contrast of one wave
    float* grey;

    TWINSCREEN_FUNCTION void operator()(std::int64_t row) const
    {
        float* line = tables->line.data();
        std::fill(line, line + canvas.width, 0.0F);
        for (int w = 0; w < waves; ++w) {
            const float* c =
                tables->column_cos.data() + static_cast<std::ptrdiff_t>(w) * canvas.width;
            const float* s =
                tables->column_sin.data() + static_cast<std::ptrdiff_t>(w) * canvas.width;
            const auto at = static_cast<std::size_t>(w * canvas.height + row);
            const float rc = tables->row_cos[at];
            const float rs = tables->row_sin[at];
            if (shape == WaveShape::sine)
                add_sine(c, s, rc, rs, weight, canvas.width, line);
            else
                add_square(c, s, rc, rs, weight, canvas.width, line);
        }
        apply_window(y_of(canvas, static_cast<int>(row)) - window.y, line);
        finish_row(line, canvas.background, canvas.width, grey + row * canvas.width);
    }

    void apply_window(double y, float* line) const
    {
        switch (window.aperture) {
            case Aperture::none: return;
            case Aperture::circle:
                multiply_circle(tables->x.data(), static_cast<float>(y),
                                static_cast<float>(window.radius), canvas.width, line);
                return;
            case Aperture::gaussian: break;
        }
        if (window.aspect == 1.0) {
            const double z = y / window.sigma;
            multiply_bell(tables->bell.data(), static_cast<float>(std::exp(-0.5 * z * z)),
                          canvas.width, line);
            return;
        }
        const auto sine = static_cast<float>(std::sin(window.orientation) / window.sigma);
        const auto cosine = static_cast<float>(std::cos(window.orientation) / window.sigma);
        const auto stretch = static_cast<float>(1.0 / window.aspect);
        const auto height = static_cast<float>(y);
        for (int i = 0; i < canvas.width; ++i) {
            const float x = tables->x[static_cast<std::size_t>(i)];
            const float across = -x * sine + height * cosine;
            const float along = (x * cosine + height * sine) * stretch;
            line[i] *= std::exp(-0.5F * (across * across + along * along));
        }
    }
};

void fill_tables(WaveTables& tables, const DrawingCanvas& canvas, std::span<const Wave> waves,
                 const Window& window)
{
    const auto width = static_cast<std::size_t>(canvas.width);
    const auto height = static_cast<std::size_t>(canvas.height);
    tables.column_cos.resize(waves.size() * width);
    tables.column_sin.resize(waves.size() * width);
    tables.row_cos.resize(waves.size() * height);
    tables.row_sin.resize(waves.size() * height);
    tables.x.resize(width);
    tables.bell.resize(width);
    tables.line.resize(width);
    for (std::size_t w = 0; w < waves.size(); ++w) {
        const double turn = 2.0 * std::numbers::pi * waves[w].frequency;
        const double per_x = -turn * std::sin(waves[w].orientation);
        const double per_y = turn * std::cos(waves[w].orientation);
        for (std::size_t c = 0; c < width; ++c) {
            const double a = per_x * (x_of(canvas, static_cast<int>(c)) - window.x);
            tables.column_cos[w * width + c] = static_cast<float>(std::cos(a));
            tables.column_sin[w * width + c] = static_cast<float>(std::sin(a));
        }
        for (std::size_t r = 0; r < height; ++r) {
            const double b =
                per_y * (y_of(canvas, static_cast<int>(r)) - window.y) - waves[w].phase;
            tables.row_cos[w * height + r] = static_cast<float>(std::cos(b));
            tables.row_sin[w * height + r] = static_cast<float>(std::sin(b));
        }
    }
    for (std::size_t c = 0; c < width; ++c) {
        const double x = x_of(canvas, static_cast<int>(c)) - window.x;
        tables.x[c] = static_cast<float>(x);
        if (window.aperture == Aperture::gaussian)
            tables.bell[c] =
                static_cast<float>(std::exp(-0.5 * x * x / (window.sigma * window.sigma)));
    }
}

struct RingRow {
    DrawingCanvas canvas;
    Ring ring;
    float contrast;
    float* grey;

    TWINSCREEN_FUNCTION void operator()(std::int64_t row) const
    {
        const double y = y_of(canvas, static_cast<int>(row)) - ring.y;
        for (int c = 0; c < canvas.width; ++c) {
            const double x = x_of(canvas, c) - ring.x;
            const double distance = std::sqrt(x * x + y * y);
            double covered = std::clamp(ring.outer + 0.5 - distance, 0.0, 1.0);
            if (ring.inner > 0.0) covered -= std::clamp(ring.inner + 0.5 - distance, 0.0, 1.0);
            grey[row * canvas.width + c] =
                grey_value(canvas.background, contrast * static_cast<float>(covered));
        }
    }
};

}  // namespace

void draw_waves(const DrawingCanvas& canvas, std::span<const Wave> waves, WaveShape shape,
                double contrast, const Window& window, float* grey)
{
    thread_local WaveTables tables;
    fill_tables(tables, canvas, waves, window);
    WaveTables* const shared = &tables;
    WaveRow body{shared,
                 canvas,
                 window,
                 shape,
                 static_cast<int>(waves.size()),
                 static_cast<float>(contrast / static_cast<double>(waves.size())),
                 grey};
    for_each_index(canvas.height, body);
}

void draw_ring(const DrawingCanvas& canvas, const Ring& ring, double contrast, float* grey)
{
    for_each_index(canvas.height, RingRow{canvas, ring, static_cast<float>(contrast), grey});
}

}  // namespace twinscreen
