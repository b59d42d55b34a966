#include "kernels/resample.hpp"

#include <algorithm>

#include "kernels/for_each.hpp"
#include "kernels/function.hpp"
#include "kernels/vectorise.hpp"

namespace twinscreen {
namespace {

constexpr int fixed_bits = 22;
constexpr std::int32_t fixed_half = 1 << (fixed_bits - 1);

inline std::uint8_t clip(std::int32_t sum)
{
    return static_cast<std::uint8_t>(std::clamp(sum >> fixed_bits, 0, 255));
}

/// Raw view of a weight table, cheap to copy into functors.
template <class W>
struct AxisView {
    const int* first;
    const int* count;
    const W* weight;
    int taps;
    int outputs;
};

AxisView<std::int32_t> fixed_view(const AxisWeights& axis)
{
    return {axis.first.data(), axis.count.data(), axis.fixed.data(), axis.taps,
            static_cast<int>(axis.first.size())};
}

AxisView<float> float_view(const AxisWeights& axis)
{
    return {axis.first.data(), axis.count.data(), axis.weight.data(), axis.taps,
            static_cast<int>(axis.first.size())};
}

TWINSCREEN_VECTOR_CLONES
void squeeze_row_grey(const std::uint8_t* row, AxisView<std::int32_t> axis, std::uint8_t* out)
{
    for (int o = 0; o < axis.outputs; ++o) {
        const std::int32_t* weight = axis.weight + static_cast<std::ptrdiff_t>(o) * axis.taps;
        const std::uint8_t* in = row + axis.first[o];
        std::int32_t sum = fixed_half;
        for (int t = 0; t < axis.count[o]; ++t) sum += in[t] * weight[t];
        out[o] = clip(sum);
    }
}

TWINSCREEN_VECTOR_CLONES
void squeeze_row_rgb(const std::uint8_t* row, AxisView<std::int32_t> axis, std::uint8_t* out)
{
    for (int o = 0; o < axis.outputs; ++o) {
        const std::int32_t* weight = axis.weight + static_cast<std::ptrdiff_t>(o) * axis.taps;
        const std::uint8_t* in = row + static_cast<std::ptrdiff_t>(axis.first[o]) * 3;
        std::int32_t red = fixed_half;
        std::int32_t green = fixed_half;
        std::int32_t blue = fixed_half;
        for (int t = 0; t < axis.count[o]; ++t) {
            red += in[3 * t] * weight[t];
            green += in[3 * t + 1] * weight[t];
            blue += in[3 * t + 2] * weight[t];
        }
        out[3 * o] = clip(red);
        out[3 * o + 1] = clip(green);
        out[3 * o + 2] = clip(blue);
    }
}

TWINSCREEN_VECTOR_CLONES
void add_weighted(const std::uint8_t* in, std::int32_t weight, int count, std::int32_t* sum)
{
    for (int i = 0; i < count; ++i) sum[i] += in[i] * weight;
}

TWINSCREEN_VECTOR_CLONES
void add_weighted(const float* in, float weight, int count, float* sum)
{
    for (int i = 0; i < count; ++i) sum[i] += in[i] * weight;
}

TWINSCREEN_VECTOR_CLONES
void add_weighted(const std::uint8_t* in, float weight, int count, float* sum)
{
    for (int i = 0; i < count; ++i) sum[i] += static_cast<float>(in[i]) * weight;
}

TWINSCREEN_VECTOR_CLONES
void clip_row(const std::int32_t* sum, int count, std::uint8_t* out)
{
    for (int i = 0; i < count; ++i) out[i] = clip(sum[i]);
}

void squeeze_row(const float* row, AxisView<float> axis, int channels, float* out)
{
    for (int o = 0; o < axis.outputs; ++o) {
        const float* weight = axis.weight + static_cast<std::ptrdiff_t>(o) * axis.taps;
        const float* in = row + static_cast<std::ptrdiff_t>(axis.first[o]) * channels;
        for (int c = 0; c < channels; ++c) {
            float sum = 0.0F;
            for (int t = 0; t < axis.count[o]; ++t) sum += in[t * channels + c] * weight[t];
            out[o * channels + c] = sum;
        }
    }
}

struct SqueezeRounded {
    const std::uint8_t* source;
    std::ptrdiff_t source_stride;
    std::uint8_t* result;
    std::ptrdiff_t result_stride;
    AxisView<std::int32_t> axis;
    int channels;

    TWINSCREEN_FUNCTION void operator()(std::int64_t row) const
    {
        const std::uint8_t* in = source + row * source_stride;
        std::uint8_t* out = result + row * result_stride;
        if (channels == 1)
            squeeze_row_grey(in, axis, out);
        else
            squeeze_row_rgb(in, axis, out);
    }
};

struct StackRounded {
    const std::uint8_t* source;  // first row that any output needs
    int source_first;
    int width;  // values of one row
    std::uint8_t* result;
    AxisView<std::int32_t> axis;
    std::int32_t* sums;  // [outputs, width]

    TWINSCREEN_FUNCTION void operator()(std::int64_t row) const
    {
        std::int32_t* sum = sums + row * width;
        std::fill(sum, sum + width, fixed_half);
        for (int t = 0; t < axis.count[row]; ++t)
            add_weighted(
                source + static_cast<std::ptrdiff_t>(axis.first[row] - source_first + t) * width,
                axis.weight[row * axis.taps + t], width, sum);
        clip_row(sum, width, result + row * width);
    }
};

template <class T>
struct StackFloat {
    const T* source;
    int width;
    float* result;
    AxisView<float> axis;

    TWINSCREEN_FUNCTION void operator()(std::int64_t row) const
    {
        float* sum = result + row * width;
        std::fill(sum, sum + width, 0.0F);
        for (int t = 0; t < axis.count[row]; ++t)
            add_weighted(source + static_cast<std::ptrdiff_t>(axis.first[row] + t) * width,
                         axis.weight[row * axis.taps + t], width, sum);
    }
};

struct SqueezeFloat {
    const float* source;
    std::ptrdiff_t source_stride;
    float* result;
    std::ptrdiff_t result_stride;
    AxisView<float> axis;
    int channels;

    TWINSCREEN_FUNCTION void operator()(std::int64_t row) const
    {
        squeeze_row(source + row * source_stride, axis, channels, result + row * result_stride);
    }
};

/// Copies the kept columns of the kept rows.
template <class From, class To>
void copy_window(const From* source, std::ptrdiff_t stride, int first_row, int rows,
                 int first_value, int values, To* result)
{
    for (int row = 0; row < rows; ++row) {
        const From* from = source + (first_row + row) * stride + first_value;
        To* to = result + static_cast<std::ptrdiff_t>(row) * values;
        for (int i = 0; i < values; ++i) to[i] = static_cast<To>(from[i]);
    }
}

template <class T>
T* scratch(std::size_t count)
{
    thread_local std::vector<T> buffer;
    if (buffer.size() < count) buffer.resize(count);
    return buffer.data();
}

template <class T>
void resample_float(ResizeFilter filter, const ResampledAxis& rows, const ResampledAxis& columns,
                    int channels, const T* source, float* result)
{
    const int width = columns.input * channels;
    const bool squeeze = columns.input != columns.output;
    // Rows first: that pass runs over whole rows, and the other one then has fewer of them.
    const bool window_only = !squeeze && columns.kept_count != columns.input;
    float* stacked = squeeze || window_only
                         ? scratch<float>(static_cast<std::size_t>(rows.kept_count) *
                                          static_cast<std::size_t>(width))
                         : result;
    if (rows.input != rows.output) {
        const auto weights = axis_weights(filter, rows);
        for_each_index(rows.kept_count,
                       StackFloat<T>{source, width, stacked, float_view(*weights)});
    } else {
        copy_window(source, width, rows.kept_first, rows.kept_count, 0, width, stacked);
    }
    if (squeeze) {
        const auto weights = axis_weights(filter, columns);
        for_each_index(rows.kept_count,
                       SqueezeFloat{stacked, width, result,
                                    static_cast<std::ptrdiff_t>(columns.kept_count) * channels,
                                    float_view(*weights), channels});
    } else if (window_only) {
        copy_window(stacked, width, 0, rows.kept_count, columns.kept_first * channels,
                    columns.kept_count * channels, result);
    }
}

}  // namespace

void resample_rounded(ResizeFilter filter, const ResampledAxis& rows, const ResampledAxis& columns,
                      int channels, const std::uint8_t* source, std::uint8_t* result)
{
    const std::ptrdiff_t stride = static_cast<std::ptrdiff_t>(columns.input) * channels;
    const int width = columns.kept_count * channels;
    const bool stack = rows.input != rows.output;
    const auto row_weights = stack ? axis_weights(filter, rows) : nullptr;
    int first = rows.kept_first;
    int needed = rows.kept_count;
    if (stack) {
        first = *std::min_element(row_weights->first.begin(), row_weights->first.end());
        int end = 0;
        for (std::size_t o = 0; o < row_weights->first.size(); ++o)
            end = std::max(end, row_weights->first[o] + row_weights->count[o]);
        needed = end - first;
    }
    std::uint8_t* squeezed = stack ? scratch<std::uint8_t>(static_cast<std::size_t>(needed) *
                                                           static_cast<std::size_t>(width))
                                   : result;
    if (columns.input != columns.output) {
        const auto weights = axis_weights(filter, columns);
        for_each_index(needed, SqueezeRounded{source + first * stride, stride, squeezed, width,
                                              fixed_view(*weights), channels});
    } else {
        copy_window(source, stride, first, needed, columns.kept_first * channels, width, squeezed);
    }
    if (!stack) return;
    auto* sums = scratch<std::int32_t>(static_cast<std::size_t>(rows.kept_count) *
                                       static_cast<std::size_t>(width));
    for_each_index(rows.kept_count,
                   StackRounded{squeezed, first, width, result, fixed_view(*row_weights), sums});
}

void resample(ResizeFilter filter, const ResampledAxis& rows, const ResampledAxis& columns,
              int channels, const float* source, float* result)
{
    resample_float(filter, rows, columns, channels, source, result);
}

void resample(ResizeFilter filter, const ResampledAxis& rows, const ResampledAxis& columns,
              int channels, const std::uint8_t* source, float* result)
{
    resample_float(filter, rows, columns, channels, source, result);
}

}  // namespace twinscreen
