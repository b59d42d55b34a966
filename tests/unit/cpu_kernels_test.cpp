#include "engine/twin/cpu_kernels.hpp"

#include <algorithm>
#include <cmath>

#include <gtest/gtest.h>

namespace twinscreen {
namespace {

/// Reproducible values in [-1, 1).
std::vector<float> drawn(std::size_t count, unsigned state)
{
    std::vector<float> values(count);
    for (float& value : values) {
        state = state * 1664525U + 1013904223U;
        value = static_cast<float>(double(state >> 8) / double(1U << 23) - 1.0);
    }
    return values;
}

double activated(double x, Activation activation)
{
    switch (activation) {
        case Activation::none: return x;
        case Activation::relu: return std::max(0.0, x);
        case Activation::elu: return x > 0 ? x : std::expm1(x);
    }
    return x;
}

class CpuKernelsTest : public ::testing::TestWithParam<const CpuKernels*> {};

TEST_P(CpuKernelsTest, ContractionEqualsANaiveConvolution)
{
    const CpuKernels& kernels = *GetParam();
    constexpr int rows = 17, segments = 3, length = 5, columns = 37, row_stride = 2, segment = 41;
    const auto input = drawn(3 * segment + rows * row_stride + length, 1);
    const auto weights = drawn(segments * length * columns, 2);
    const auto bias = drawn(columns, 3);
    const PackedMatrix packed =
        packed_for(kernels, {weights.begin(), weights.end()}, {bias.begin(), bias.end()});
    for (const Activation activation : {Activation::none, Activation::relu, Activation::elu}) {
        std::vector<float> output(static_cast<std::size_t>(rows * packed.padded_columns), -1.0F);
        Contraction c;
        c.input = input.data();
        c.row_stride = row_stride;
        c.segments = segments;
        c.segment_stride = segment;
        c.segment_length = length;
        c.weights = packed.weights.data();
        c.bias = packed.bias.data();
        c.output = output.data();
        c.output_stride = packed.padded_columns;
        c.rows = rows;
        c.padded_columns = packed.padded_columns;
        c.activation = activation;

        kernels.contract(c);

        for (int r = 0; r < rows; ++r)
            for (int n = 0; n < packed.padded_columns; ++n) {
                double sum = n < columns ? double(bias[std::size_t(n)]) : 0.0;
                for (int s = 0; s < segments && n < columns; ++s)
                    for (int k = 0; k < length; ++k)
                        sum += double(input[std::size_t(r * row_stride + s * segment + k)]) *
                               double(weights[std::size_t((s * length + k) * columns + n)]);
                // 16 products of numbers below 1 in float
                ASSERT_NEAR(output[std::size_t(r * packed.padded_columns + n)],
                            activated(sum, activation), 4e-6);
            }
    }
}

TEST_P(CpuKernelsTest, DepthwiseEqualsANaiveConvolution)
{
    const CpuKernels& kernels = *GetParam();
    const int channels = 2 * kernels.lanes;
    constexpr int pixels = 16;
    for (const auto& [kernel, stride] : {std::pair{5, 1}, {5, 2}, {7, 1}}) {
        const int width = (pixels - 1) * stride + kernel;
        const auto input = drawn(std::size_t(kernel * width * channels), 4);
        const auto weights = drawn(std::size_t(kernel * kernel * channels), 5);
        std::vector<float> output(std::size_t(pixels * channels));
        std::vector<const float*> rows;
        for (int k = 0; k < kernel; ++k) rows.push_back(&input[std::size_t(k * width * channels)]);
        Depthwise d;
        d.input_rows = rows.data();
        d.kernel = kernel;
        d.stride = stride;
        d.weights = weights.data();
        d.output = output.data();
        d.pixels = pixels;
        d.channels = channels;

        kernels.depthwise(d);

        for (int p = 0; p < pixels; ++p)
            for (int c = 0; c < channels; ++c) {
                double sum = 0.0;
                for (int ky = 0; ky < kernel; ++ky)
                    for (int kx = 0; kx < kernel; ++kx)
                        sum += double(rows[std::size_t(ky)][(p * stride + kx) * channels + c]) *
                               double(weights[std::size_t((ky * kernel + kx) * channels + c)]);
                ASSERT_NEAR(output[std::size_t(p * channels + c)], sum, 1e-5);
            }
    }
}

TEST_P(CpuKernelsTest, SamplesEqualANaiveReadout)
{
    const CpuKernels& kernels = *GetParam();
    constexpr int units = 19, channels = 32, pixels = 10;
    const auto map = drawn(pixels * channels, 6);
    const auto weights = drawn(units * 4, 7);
    const auto features = drawn(units * channels, 8);
    const auto bias = drawn(units, 9);
    std::vector<int> where;
    for (int i = 0; i < units * 4; ++i) where.push_back(i * 7 % pixels);
    std::vector<float> output(units);
    SampledReadout s{map.data(),  channels,      where.data(), weights.data(),  features.data(),
                     bias.data(), output.data(), units,        Activation::elu, 1.0F};

    kernels.sample(s);

    for (int u = 0; u < units; ++u) {
        double sum = double(bias[std::size_t(u)]);
        for (int t = 0; t < 4; ++t)
            for (int c = 0; c < channels; ++c)
                sum += double(weights[std::size_t(4 * u + t)]) *
                       double(map[std::size_t(where[std::size_t(4 * u + t)] * channels + c)]) *
                       double(features[std::size_t(u * channels + c)]);
        EXPECT_NEAR(output[std::size_t(u)], activated(sum, Activation::elu) + 1.0, 1e-5);
    }
}

TEST_P(CpuKernelsTest, ExponentialIsRightToSixDigitsEverywhere)
{
    const CpuKernels& kernels = *GetParam();
    const auto lanes = static_cast<std::size_t>(kernels.lanes);
    const PackedMatrix one =
        packed_for(kernels, std::vector<double>(lanes, 1.0), std::vector<double>(lanes, 0.0));
    std::vector<float> output(lanes);
    for (double x = -120.0; x < 0.0; x = x < -1e-3 ? x * 0.97 : 1.0) {
        const auto input = static_cast<float>(x);
        Contraction c;
        c.input = &input;
        c.segment_length = 1;
        c.weights = one.weights.data();
        c.bias = one.bias.data();
        c.output = output.data();
        c.output_stride = kernels.lanes;
        c.rows = 1;
        c.padded_columns = kernels.lanes;
        c.activation = Activation::elu;

        kernels.contract(c);

        ASSERT_NEAR(output[0], std::expm1(double(input)), 2e-7) << x;
    }
}

TEST_P(CpuKernelsTest, ProductsAreSummedOverRows)
{
    const CpuKernels& kernels = *GetParam();
    const int columns = 3 * kernels.lanes;
    const auto a = drawn(std::size_t(7 * columns), 10);
    const auto b = drawn(std::size_t(7 * columns), 11);
    std::vector<float> sums(std::size_t(columns), 2.0F);

    kernels.add_products(a.data(), b.data(), 7, columns, sums.data());

    for (std::size_t n = 0; n < sums.size(); ++n) {
        double expected = 2.0;
        for (std::size_t row = 0; row < 7; ++row)
            expected += double(a[row * sums.size() + n]) * double(b[row * sums.size() + n]);
        EXPECT_NEAR(sums[n], expected, 2e-6);
    }
}

INSTANTIATE_TEST_SUITE_P(EveryInstructionSet, CpuKernelsTest,
                         ::testing::ValuesIn(supported_cpu_kernels().begin(),
                                             supported_cpu_kernels().end()),
                         [](const auto& test) { return std::string(test.param->name); });

}  // namespace
}  // namespace twinscreen
