#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "engine/base/error.hpp"
#include "kernels/for_each.hpp"
#include "kernels/normal.hpp"
#include "kernels/render.hpp"
#include "kernels/vectorise.hpp"

namespace twinscreen {
namespace {

inline float grey_value(float background, float pattern)
{
    return std::clamp(background + background * pattern, 0.0F, 255.0F);
}

/// Four consecutive checks from one draw.
struct CheckDraw {
    DrawAddress base;
    NoiseValues values;
    float contrast;
    float* checks;

    TWINSCREEN_FUNCTION void operator()(std::int64_t four) const
    {
        DrawAddress at = base;
        at.index = static_cast<std::uint32_t>(four);
        float* out = checks + 4 * four;
        if (values == NoiseValues::gaussian) {
            const std::array<float, 4> normal = normal_draws(at);
            for (std::size_t i = 0; i < 4; ++i) out[i] = contrast * normal[i];
        } else {
            const std::array<std::uint32_t, 4> bits = draw_bits(at);
            for (std::size_t i = 0; i < 4; ++i)
                out[i] = (bits[i] >> 31U) != 0 ? contrast : -contrast;
        }
    }
};

/// [size, size] orthonormal cosines and sines: frequency 0, then cos and sin of 1, 2, ..., and for
/// even sizes the alternating one.
std::vector<float> real_fourier_basis(int size)
{
    std::vector<float> basis(static_cast<std::size_t>(size) * static_cast<std::size_t>(size));
    for (int k = 0; k < size; ++k) {
        const int cycles = (k + 1) / 2;
        const bool alone = k == 0 || 2 * cycles == size;
        const double norm = std::sqrt((alone ? 1.0 : 2.0) / size);
        const bool is_sine = k > 0 && k % 2 == 0;
        for (int n = 0; n < size; ++n) {
            // The remainder keeps the angle small, hence exact.
            const auto step = static_cast<std::int64_t>(cycles) * n % size;
            const double angle = 2.0 * std::numbers::pi * static_cast<double>(step) / size;
            basis[static_cast<std::size_t>(k) * static_cast<std::size_t>(size) +
                  static_cast<std::size_t>(n)] =
                static_cast<float>(norm * (is_sine ? std::sin(angle) : std::cos(angle)));
        }
    }
    return basis;
}

/// Adds a row of a matrix to four rows of a product.
TWINSCREEN_VECTOR_CLONES
void add_to_four(const float* __restrict__ row, const float* factor, std::ptrdiff_t count,
                 float* __restrict__ out)
{
    float* __restrict__ o0 = out;
    float* __restrict__ o1 = out + count;
    float* __restrict__ o2 = out + 2 * count;
    float* __restrict__ o3 = out + 3 * count;
    const float f0 = factor[0];
    const float f1 = factor[1];
    const float f2 = factor[2];
    const float f3 = factor[3];
    for (std::ptrdiff_t i = 0; i < count; ++i) {
        o0[i] += f0 * row[i];
        o1[i] += f1 * row[i];
        o2[i] += f2 * row[i];
        o3[i] += f3 * row[i];
    }
}

/// Four rows of left * right; rows beyond the last are computed into the padding of `product`.
///
/// left     [rows, inner], or [inner, rows] if transposed
/// right    [inner, columns]
/// product  [rows rounded up to 4, columns]
struct FourRows {
    const float* left;
    bool transposed;
    const float* right;
    int rows;
    int inner;
    int columns;
    float* product;

    TWINSCREEN_FUNCTION void operator()(std::int64_t four) const
    {
        float* out = product + 4 * four * columns;
        std::fill(out, out + std::ptrdiff_t{4} * columns, 0.0F);
        for (int k = 0; k < inner; ++k) {
            float factor[4] = {0.0F, 0.0F, 0.0F, 0.0F};
            for (int i = 0; i < 4; ++i) {
                const std::int64_t row = 4 * four + i;
                if (row < rows)
                    factor[i] = transposed ? left[static_cast<std::int64_t>(k) * rows + row]
                                           : left[row * inner + k];
            }
            add_to_four(right + static_cast<std::ptrdiff_t>(k) * columns, factor, columns, out);
        }
    }
};

}  // namespace

void draw_sparse_squares(const DrawingCanvas& canvas, DrawAddress base, int squares, double size,
                         double contrast, Polarity polarity, float* grey)
{
    std::fill(grey, grey + static_cast<std::ptrdiff_t>(canvas.height) * canvas.width,
              canvas.background);
    const int columns = std::max(1, static_cast<int>(canvas.width / size));
    const int rows = std::max(1, static_cast<int>(canvas.height / size));
    const double left = 0.5 * (canvas.width - columns * size);
    const double top = 0.5 * (canvas.height - rows * size);
    const auto pixel = [](double edge, int limit) {
        return std::clamp(static_cast<int>(std::lround(edge)), 0, limit);
    };
    for (int square = 0; square < squares; ++square) {
        base.index = static_cast<std::uint32_t>(square);
        const std::array<std::uint32_t, 4> bits = draw_bits(base);
        const auto column = below(bits[0], static_cast<std::uint32_t>(columns));
        const auto row = below(bits[1], static_cast<std::uint32_t>(rows));
        const bool light =
            polarity == Polarity::light || (polarity == Polarity::both && (bits[2] >> 31U) != 0);
        const float value =
            grey_value(canvas.background, static_cast<float>(light ? contrast : -contrast));
        const int x0 = pixel(left + column * size, canvas.width);
        const int x1 = pixel(left + (column + 1) * size, canvas.width);
        const int y0 = pixel(top + row * size, canvas.height);
        const int y1 = pixel(top + (row + 1) * size, canvas.height);
        for (int y = y0; y < y1; ++y) {
            float* line = grey + static_cast<std::ptrdiff_t>(y) * canvas.width;
            std::fill(line + x0, line + x1, value);
        }
    }
}

void draw_white_noise(const DrawingCanvas& canvas, DrawAddress base, double size, double contrast,
                      NoiseValues values, float* grey)
{
    const auto columns = static_cast<std::int64_t>(std::ceil(canvas.width / size));
    const auto rows = static_cast<std::int64_t>(std::ceil(canvas.height / size));
    thread_local std::vector<float> checks;
    const std::int64_t fours = (rows * columns + 3) / 4;
    checks.resize(static_cast<std::size_t>(4 * fours));
    for_each_index(fours, CheckDraw{base, values, static_cast<float>(contrast), checks.data()});
    thread_local std::vector<std::int64_t> column_of;
    column_of.resize(static_cast<std::size_t>(canvas.width));
    for (int x = 0; x < canvas.width; ++x)
        column_of[static_cast<std::size_t>(x)] =
            std::min(static_cast<std::int64_t>((x + 0.5) / size), columns - 1);
    for (int y = 0; y < canvas.height; ++y) {
        const std::int64_t row = std::min(static_cast<std::int64_t>((y + 0.5) / size), rows - 1);
        const float* line = checks.data() + row * columns;
        float* out = grey + static_cast<std::ptrdiff_t>(y) * canvas.width;
        for (int x = 0; x < canvas.width; ++x)
            out[x] = grey_value(canvas.background, line[column_of[static_cast<std::size_t>(x)]]);
    }
}

NoiseSpectrum make_noise_spectrum(int height, int width, double alpha)
{
    NoiseSpectrum spectrum{
        height, width, real_fourier_basis(height), real_fourier_basis(width), {}};
    std::vector<double> amplitude;
    double power = 0.0;
    for (int i = 0; i < height; ++i) {
        for (int j = 0; j < width; ++j) {
            const double fy = static_cast<double>((i + 1) / 2) / height;
            const double fx = static_cast<double>((j + 1) / 2) / width;
            const double f = std::hypot(fx, fy);
            amplitude.push_back(f > 0.0 ? std::pow(f, -alpha) : 0.0);
            power += amplitude.back() * amplitude.back();
        }
    }
    const double pixels = static_cast<double>(height) * width;
    const double scale = power > 0.0 ? std::sqrt(pixels / power) : 0.0;
    for (const double value : amplitude)
        spectrum.amplitude.push_back(static_cast<float>(value * scale));
    return spectrum;
}

void draw_coloured_noise(const DrawingCanvas& canvas, DrawAddress base,
                         const NoiseSpectrum& spectrum, double contrast, float* grey)
{
    TWINSCREEN_ASSERT(canvas.height == spectrum.height && canvas.width == spectrum.width);
    const int height = canvas.height;
    const int width = canvas.width;
    const std::int64_t pixels = static_cast<std::int64_t>(height) * width;
    const std::int64_t row_fours = (height + 3) / 4;
    thread_local std::vector<float> coefficients;
    thread_local std::vector<float> half_way;
    thread_local std::vector<float> field;
    coefficients.resize(static_cast<std::size_t>((pixels + 3) / 4 * 4));
    half_way.resize(static_cast<std::size_t>(row_fours * 4 * width));
    field.resize(half_way.size());
    for_each_index((pixels + 3) / 4, CheckDraw{base, NoiseValues::gaussian,
                                               static_cast<float>(contrast), coefficients.data()});
    for (std::size_t i = 0; i < static_cast<std::size_t>(pixels); ++i)
        coefficients[i] *= spectrum.amplitude[i];
    for_each_index(row_fours, FourRows{coefficients.data(), false, spectrum.column_basis.data(),
                                       height, width, width, half_way.data()});
    for_each_index(row_fours, FourRows{spectrum.row_basis.data(), true, half_way.data(), height,
                                       height, width, field.data()});
    for (std::int64_t i = 0; i < pixels; ++i)
        grey[i] = grey_value(canvas.background, field[static_cast<std::size_t>(i)]);
}

void draw_dead_leaves(const DrawingCanvas& canvas, DrawAddress base, double smallest,
                      double largest, double contrast, float* grey)
{
    // Far more leaves than are ever needed: a bound on the time, not on the picture.
    constexpr std::uint32_t most_leaves = 10'000'000;
    constexpr float empty = std::numeric_limits<float>::quiet_NaN();
    const std::int64_t pixels = static_cast<std::int64_t>(canvas.height) * canvas.width;
    std::fill(grey, grey + pixels, empty);
    thread_local std::vector<int> open_in_row;
    open_in_row.assign(static_cast<std::size_t>(canvas.height), canvas.width);
    const double ratio = 1.0 - (smallest / largest) * (smallest / largest);
    std::int64_t open = pixels;
    for (std::uint32_t leaf = 0; open > 0 && leaf < most_leaves; ++leaf) {
        base.index = leaf;
        const std::array<std::uint32_t, 4> bits = draw_bits(base);
        const double radius =
            smallest / std::sqrt(1.0 - static_cast<double>(unit_interval(bits[0])) * ratio);
        const double x = unit_interval(bits[1]) * (canvas.width + 2.0 * largest) - largest;
        const double y = unit_interval(bits[2]) * (canvas.height + 2.0 * largest) - largest;
        const float shade = 2.0F * unit_interval(bits[3]) - 1.0F;
        const float value = grey_value(canvas.background, static_cast<float>(contrast) * shade);
        const int top = std::max(0, static_cast<int>(std::ceil(y - radius - 0.5)));
        const int bottom =
            std::min(canvas.height - 1, static_cast<int>(std::floor(y + radius - 0.5)));
        for (int row = top; row <= bottom; ++row) {
            int& open_here = open_in_row[static_cast<std::size_t>(row)];
            if (open_here == 0) continue;
            const double dy = row + 0.5 - y;
            const double reach = std::sqrt(std::max(0.0, radius * radius - dy * dy));
            const int left = std::max(0, static_cast<int>(std::ceil(x - reach - 0.5)));
            const int right =
                std::min(canvas.width - 1, static_cast<int>(std::floor(x + reach - 0.5)));
            float* line = grey + static_cast<std::ptrdiff_t>(row) * canvas.width;
            for (int column = left; column <= right; ++column) {
                if (!std::isnan(line[column])) continue;
                line[column] = value;
                --open_here;
                --open;
            }
        }
    }
    if (open > 0)
        std::replace_if(
            grey, grey + pixels, [](float v) { return std::isnan(v); }, canvas.background);
}

}  // namespace twinscreen
