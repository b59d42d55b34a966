#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/function.hpp"

namespace twinscreen {

// Body of prepare_images.hpp. Offsets count bytes from the beginning of the packed pictures.

inline constexpr int most_picture_channels = 3;

/// Where the values of one axis come from, as AxisWeights has it, in one block of 4-byte numbers:
/// first [outputs], count [outputs], weight [outputs, taps]. Weights are fixed-point integers where
/// passes are rounded, else f32.
struct PackedAxis {
    std::int64_t at;
    std::int32_t outputs;
    std::int32_t taps;
};

/// What one row of a network's input is made of.
struct PackedRow {
    enum class Kind : std::int32_t {
        blank,     ///< zeros: padding, or a picture that could not be read; all bytes are 0
        picture,   ///< pixels u8 [height, width, channels]
        finished,  ///< the row itself, f32
    };
    std::int64_t at;
    PackedAxis rows;
    PackedAxis columns;
    Kind kind;
    std::int32_t width;
    std::int32_t channels;
};

/// One pixel, all channels, of a network's input for each index: greyed, resampled along both axes
/// and normalised, with the sums of apply_transform in their order.
///
/// The first pass is done again for every tap of the second: where a picture shrinks, two
/// (triangle) to four (cubic) times the arithmetic of a launch for each pass, one operation per
/// value of the picture and tap at most. Two launches would write and read an intermediate nearly
/// as large as the picture for that, and a GPU has more arithmetic than bandwidth to spare.
struct PrepareImages {
    static constexpr int fixed_bits = 22;  // of AxisWeights::fixed

    const std::uint8_t* packed;
    const PackedRow* table;  // [rows]
    std::int64_t area;       // pixels of a row
    std::int32_t width;
    std::int32_t channels;
    bool channels_last;
    bool rounds;  // after each pass, as Pillow
    float mean[most_picture_channels];
    float scale[most_picture_channels];
    float* inputs;  // [rows, channels, area] or [rows, area, channels]

    TWINSCREEN_FUNCTION void operator()(std::int64_t index) const
    {
        const std::int64_t row = index / area;
        const auto pixel = static_cast<std::int32_t>(index - row * area);
        float* out = inputs + row * area * channels;
        const PackedRow& from = table[row];
        switch (from.kind) {
            case PackedRow::Kind::blank:
                for (int c = 0; c < channels; ++c) out[place(pixel, c)] = 0.0F;
                return;
            case PackedRow::Kind::finished: {
                const auto* values = at<float>(from.at);
                for (int c = 0; c < channels; ++c) out[place(pixel, c)] = values[place(pixel, c)];
                return;
            }
            case PackedRow::Kind::picture: break;
        }
        float values[most_picture_channels];
        fit(from, pixel / width, pixel % width, values);
        for (int c = 0; c < channels; ++c)
            out[place(pixel, c)] = (values[from.channels == 1 ? 0 : c] - mean[c]) / scale[c];
    }

private:
    /// One axis as one output pixel sees it.
    template <class W>
    struct Taps {
        std::int32_t first;
        std::int32_t count;
        const W* weight;
    };
    struct Channel {
        TWINSCREEN_FUNCTION std::uint8_t operator()(const std::uint8_t* pixel, int channel) const
        {
            return pixel[channel];
        }
    };
    /// PIL's integer Rec. 601 luma.
    struct Luma {
        TWINSCREEN_FUNCTION std::uint8_t operator()(const std::uint8_t* pixel, int) const
        {
            return static_cast<std::uint8_t>(
                (pixel[0] * 19595U + pixel[1] * 38470U + pixel[2] * 7471U + 0x8000U) >> 16U);
        }
    };

    template <class T>
    TWINSCREEN_FUNCTION const T* at(std::int64_t offset) const
    {
        return reinterpret_cast<const T*>(packed + offset);
    }

    TWINSCREEN_FUNCTION std::int64_t place(std::int32_t pixel, int channel) const
    {
        return channels_last ? static_cast<std::int64_t>(pixel) * channels + channel
                             : channel * area + pixel;
    }

    template <class W>
    TWINSCREEN_FUNCTION Taps<W> taps_of(const PackedAxis& axis, std::int32_t output) const
    {
        const auto* numbers = at<std::int32_t>(axis.at);
        const std::int64_t weights = axis.at + (2 * static_cast<std::int64_t>(axis.outputs) +
                                                static_cast<std::int64_t>(output) * axis.taps) *
                                                   static_cast<std::int64_t>(sizeof(W));
        return {numbers[output], numbers[axis.outputs + output], at<W>(weights)};
    }

    TWINSCREEN_FUNCTION void fit(const PackedRow& from, std::int32_t y, std::int32_t x,
                                 float* values) const
    {
        if (from.channels == 1)
            fit_channels<1>(from, y, x, Channel{}, values);
        else if (channels == 1)
            fit_channels<1>(from, y, x, Luma{}, values);
        else
            fit_channels<3>(from, y, x, Channel{}, values);
    }

    template <int Count, class Read>
    TWINSCREEN_FUNCTION void fit_channels(const PackedRow& from, std::int32_t y, std::int32_t x,
                                          Read read, float* values) const
    {
        if (rounds)
            resample_rounded<Count>(from, taps_of<std::int32_t>(from.rows, y),
                                    taps_of<std::int32_t>(from.columns, x), read, values);
        else
            resample<Count>(from, taps_of<float>(from.rows, y), taps_of<float>(from.columns, x),
                            read, values);
    }

    TWINSCREEN_FUNCTION const std::uint8_t* pixel_of(const PackedRow& from, std::int32_t y,
                                                     std::int32_t x) const
    {
        return packed + from.at + (static_cast<std::int64_t>(y) * from.width + x) * from.channels;
    }

    static constexpr std::int32_t fixed_half = 1 << (fixed_bits - 1);

    static TWINSCREEN_FUNCTION std::int32_t clip(std::int32_t sum)
    {
        const std::int32_t value = sum >> fixed_bits;
        return value < 0 ? 0 : (value > 255 ? 255 : value);
    }

    /// Along the columns, rounded, then along the rows, rounded.
    template <int Count, class Read>
    TWINSCREEN_FUNCTION void resample_rounded(const PackedRow& from, Taps<std::int32_t> rows,
                                              Taps<std::int32_t> columns, Read read,
                                              float* values) const
    {
        std::int32_t sums[Count];
        for (int c = 0; c < Count; ++c) sums[c] = fixed_half;
        for (std::int32_t y = 0; y < rows.count; ++y) {
            const std::uint8_t* in = pixel_of(from, rows.first + y, columns.first);
            std::int32_t squeezed[Count];
            for (int c = 0; c < Count; ++c) squeezed[c] = fixed_half;
            for (std::int32_t x = 0; x < columns.count; ++x, in += from.channels)
                for (int c = 0; c < Count; ++c) squeezed[c] += read(in, c) * columns.weight[x];
            for (int c = 0; c < Count; ++c) sums[c] += clip(squeezed[c]) * rows.weight[y];
        }
        for (int c = 0; c < Count; ++c) values[c] = static_cast<float>(clip(sums[c]));
    }

    /// Along the rows, then along the columns, in float.
    template <int Count, class Read>
    TWINSCREEN_FUNCTION void resample(const PackedRow& from, Taps<float> rows, Taps<float> columns,
                                      Read read, float* values) const
    {
        const std::int64_t stride = static_cast<std::int64_t>(from.width) * from.channels;
        for (int c = 0; c < Count; ++c) values[c] = 0.0F;
        for (std::int32_t x = 0; x < columns.count; ++x) {
            const std::uint8_t* in = pixel_of(from, rows.first, columns.first + x);
            float stacked[Count];
            for (int c = 0; c < Count; ++c) stacked[c] = 0.0F;
            for (std::int32_t y = 0; y < rows.count; ++y, in += stride)
                for (int c = 0; c < Count; ++c)
                    stacked[c] += static_cast<float>(read(in, c)) * rows.weight[y];
            for (int c = 0; c < Count; ++c) values[c] += stacked[c] * columns.weight[x];
        }
    }
};

}  // namespace twinscreen
