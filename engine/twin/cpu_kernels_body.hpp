// Body of the inner loops, compiled once for every instruction set: the including file defines
// TWINSCREEN_LANES, TWINSCREEN_TILE_ROWS and TWINSCREEN_KERNEL_NAMESPACE. No header with inline
// functions may be included below: the linker could keep the copy for the wrong processor.
#pragma once

#include "engine/twin/cpu_kernel_types.hpp"

namespace twinscreen::TWINSCREEN_KERNEL_NAMESPACE {
namespace {

constexpr int lanes = TWINSCREEN_LANES;
constexpr int tile_rows = TWINSCREEN_TILE_ROWS;

using Vector = float __attribute__((vector_size(lanes * sizeof(float))));
using Unaligned = float __attribute__((vector_size(lanes * sizeof(float)), aligned(4), may_alias));
using Integers = int __attribute__((vector_size(lanes * sizeof(int))));

inline Vector load(const float* from) { return *reinterpret_cast<const Unaligned*>(from); }
inline void store(float* to, Vector values) { *reinterpret_cast<Unaligned*>(to) = values; }

/// exp(x) for x <= 0 to 1e-7 relative; 0 below -87: 2^n exp(r) with r in +-ln(2)/2 (Cody & Waite
/// 1980) and the polynomial of Cephes (Moshier 1992).
inline Vector exponential(Vector x)
{
    const Vector lowest = Vector{} - 87.0F;
    x = x < lowest ? lowest : x;
    const float round_magic = 12582912.0F;  // 1.5 * 2^23: adding it rounds to an integer
    const Vector shifted = x * 1.44269504F + round_magic;
    const Vector n = shifted - round_magic;
    const Vector r = (x - n * 0.693359375F) - n * -2.12194440e-4F;
    Vector p = Vector{} + 1.9875691500e-4F;
    p = p * r + 1.3981999507e-3F;
    p = p * r + 8.3334519073e-3F;
    p = p * r + 4.1665795894e-2F;
    p = p * r + 1.6666665459e-1F;
    p = p * r + 5.0000001201e-1F;
    p = p * (r * r) + r + 1.0F;
    const Integers exponent = __builtin_convertvector(n, Integers);
    const Integers scale = (exponent + 127) << 23;
    return p * reinterpret_cast<Vector>(scale);
}

template <Activation A>
inline Vector activated(Vector x)
{
    const Vector zero = {};
    if constexpr (A == Activation::relu)
        return x > zero ? x : zero;
    else if constexpr (A == Activation::elu)
        return x > zero ? x : exponential(x < zero ? x : zero) - 1.0F;
    else
        return x;
}

/// A tile of Rows x (Vectors * lanes) outputs held in registers.
template <int Rows, int Vectors, Activation A>
inline void contract_tile(const Contraction& c, const float* input, const float* weights,
                          const float* bias, float* output)
{
    Vector sums[Rows][Vectors];
    for (int v = 0; v < Vectors; ++v) {
        const Vector start = load(bias + v * lanes);
        for (int r = 0; r < Rows; ++r) sums[r][v] = start;
    }
    for (int s = 0; s < c.segments; ++s) {
        const float* at = input + s * c.segment_stride;
        for (int k = 0; k < c.segment_length; ++k) {
            Vector w[Vectors];
            for (int v = 0; v < Vectors; ++v) w[v] = load(weights + v * lanes);
            weights += Vectors * lanes;
#pragma GCC unroll 16
            for (int r = 0; r < Rows; ++r) {
                const float x = at[r * c.row_stride + k];
#pragma GCC unroll 2
                for (int v = 0; v < Vectors; ++v) sums[r][v] += x * w[v];
            }
        }
    }
    for (int r = 0; r < Rows; ++r)
        for (int v = 0; v < Vectors; ++v)
            store(output + r * c.output_stride + v * lanes, activated<A>(sums[r][v]));
}

template <int Vectors, Activation A>
void contract_block(const Contraction& c, const float* weights, int first_column)
{
    const float* bias = c.bias + first_column;
    float* output = c.output + first_column;
    int row = 0;
    for (; row + tile_rows <= c.rows; row += tile_rows)
        contract_tile<tile_rows, Vectors, A>(c, c.input + row * c.row_stride, weights, bias,
                                             output + row * c.output_stride);
    for (; row < c.rows; ++row)
        contract_tile<1, Vectors, A>(c, c.input + row * c.row_stride, weights, bias,
                                     output + row * c.output_stride);
}

template <Activation A>
void contract_as(const Contraction& c)
{
    const ptrdiff_t depth = ptrdiff_t{c.segments} * c.segment_length;
    const float* weights = c.weights;
    int column = 0;
    for (; column + 2 * lanes <= c.padded_columns; column += 2 * lanes) {
        contract_block<2, A>(c, weights, column);
        weights += depth * 2 * lanes;
    }
    if (column < c.padded_columns) contract_block<1, A>(c, weights, column);
}

void contract(const Contraction& c)
{
    switch (c.activation) {
        case Activation::none: return contract_as<Activation::none>(c);
        case Activation::relu: return contract_as<Activation::relu>(c);
        case Activation::elu: return contract_as<Activation::elu>(c);
    }
}

/// Pixels neighbouring outputs of one vector of channels.
template <int Kernel, int Stride, int Pixels>
inline void depthwise_tile(const Depthwise& d, int pixel, int channel)
{
    Vector sums[Pixels] = {};
    const float* weights = d.weights + channel;
    for (int ky = 0; ky < Kernel; ++ky) {
        const float* at = d.input_rows[ky] + ptrdiff_t{pixel} * Stride * d.channels + channel;
        Vector w[Kernel];
        for (int kx = 0; kx < Kernel; ++kx) w[kx] = load(weights + kx * d.channels);
        weights += Kernel * d.channels;
#pragma GCC unroll 32
        for (int x = 0; x < (Pixels - 1) * Stride + Kernel; ++x) {
            const Vector value = load(at + ptrdiff_t{x} * d.channels);
#pragma GCC unroll 32
            for (int p = 0; p < Pixels; ++p)
                if (x - p * Stride >= 0 && x - p * Stride < Kernel)
                    sums[p] += value * w[x - p * Stride];
        }
    }
    for (int p = 0; p < Pixels; ++p)
        store(d.output + ptrdiff_t{pixel + p} * d.channels + channel, sums[p]);
}

template <int Kernel, int Stride>
void depthwise_as(const Depthwise& d)
{
    constexpr int tile = 7;  // divides the rows of 28 and 56 pixels
    for (int channel = 0; channel < d.channels; channel += lanes) {
        int pixel = 0;
        for (; pixel + tile <= d.pixels; pixel += tile)
            depthwise_tile<Kernel, Stride, tile>(d, pixel, channel);
        for (; pixel < d.pixels; ++pixel) depthwise_tile<Kernel, Stride, 1>(d, pixel, channel);
    }
}

void depthwise(const Depthwise& d)
{
    if (d.kernel == 7)
        depthwise_as<7, 1>(d);
    else if (d.stride == 2)
        depthwise_as<5, 2>(d);
    else
        depthwise_as<5, 1>(d);
}

void add_products(const float* a, const float* b, ptrdiff_t rows, int columns, float* sums)
{
    for (int column = 0; column < columns; column += lanes) {
        Vector even = load(sums + column);
        Vector odd = {};
        ptrdiff_t row = 0;
        for (; row + 1 < rows; row += 2) {
            even += load(a + row * columns + column) * load(b + row * columns + column);
            odd += load(a + (row + 1) * columns + column) * load(b + (row + 1) * columns + column);
        }
        if (row < rows) even += load(a + row * columns + column) * load(b + row * columns + column);
        store(sums + column, even + odd);
    }
}

inline float sum_of(Vector values)
{
    float sum = 0.0F;
    for (int i = 0; i < lanes; ++i) sum += values[i];
    return sum;
}

void sample(const SampledReadout& s)
{
    for (ptrdiff_t unit = 0; unit < s.units; ++unit) {
        const int* pixels = s.pixels + 4 * unit;
        const float* weights = s.weights + 4 * unit;
        const float* features = s.features + unit * s.channels;
        const float* taps[4];
        for (int t = 0; t < 4; ++t) taps[t] = s.map + ptrdiff_t{pixels[t]} * s.channels;
        Vector sum = {};
        for (int channel = 0; channel < s.channels; channel += lanes) {
            Vector value = {};
            for (int t = 0; t < 4; ++t) value += weights[t] * load(taps[t] + channel);
            sum += value * load(features + channel);
        }
        s.output[unit] = s.bias[unit] + sum_of(sum);
    }
    if (s.activation == Activation::elu) {
        ptrdiff_t unit = 0;
        for (; unit + lanes <= s.units; unit += lanes)
            store(s.output + unit, activated<Activation::elu>(load(s.output + unit)) + s.offset);
        if (unit < s.units) {
            Vector last = {};
            for (ptrdiff_t i = unit; i < s.units; ++i) last[i - unit] = s.output[i];
            last = activated<Activation::elu>(last) + s.offset;
            for (ptrdiff_t i = unit; i < s.units; ++i) s.output[i] = last[i - unit];
        }
    }
}

}  // namespace
}  // namespace twinscreen::TWINSCREEN_KERNEL_NAMESPACE
