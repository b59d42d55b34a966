#include "kernels/image.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <utility>

#include "kernels/fitted_axes.hpp"
#include "kernels/resample.hpp"
#include "kernels/vectorise.hpp"

namespace twinscreen {
namespace {

constexpr std::array<std::pair<ResizeFilter, std::string_view>, 8> filter_names{{
    {ResizeFilter::pil_box, "pil_box"},
    {ResizeFilter::pil_bilinear, "pil_bilinear"},
    {ResizeFilter::pil_bicubic, "pil_bicubic"},
    {ResizeFilter::torch_area, "torch_area"},
    {ResizeFilter::torch_bilinear, "torch_bilinear"},
    {ResizeFilter::torch_bilinear_antialias, "torch_bilinear_antialias"},
    {ResizeFilter::torch_bicubic, "torch_bicubic"},
    {ResizeFilter::torch_bicubic_antialias, "torch_bicubic_antialias"},
}};

std::string_view fit_name(InputTransform::Fit fit) noexcept
{
    switch (fit) {
        case InputTransform::Fit::exact: return "exact";
        case InputTransform::Fit::stretch: return "stretch";
        case InputTransform::Fit::cover: return "cover";
        case InputTransform::Fit::crop: return "crop";
    }
    return "?";
}

template <class T>
T* scratch(std::size_t count)
{
    thread_local std::vector<T> buffer;
    if (buffer.size() < count) buffer.resize(count);
    return buffer.data();
}

TWINSCREEN_VECTOR_CLONES
void grey_of(const std::uint8_t* rgb, std::int64_t pixels, std::uint8_t* grey)
{
    for (std::int64_t i = 0; i < pixels; ++i)
        grey[i] = static_cast<std::uint8_t>(
            (rgb[3 * i] * 19595U + rgb[3 * i + 1] * 38470U + rgb[3 * i + 2] * 7471U + 0x8000U) >>
            16U);
}

TWINSCREEN_VECTOR_CLONES
void grey_of(const float* rgb, std::int64_t pixels, float* grey)
{
    for (std::int64_t i = 0; i < pixels; ++i)
        grey[i] = 0.299F * rgb[3 * i] + 0.587F * rgb[3 * i + 1] + 0.114F * rgb[3 * i + 2];
}

bool is_whole(const ResampledAxis& axis)
{
    return axis.input == axis.output && axis.kept_count == axis.input;
}

/// Writes pixels of the input's own size, [height, width, channels], in the row's layout.
/// `value(pixel, channel)` gives the normalised number.
template <class T, class Value>
void place(const InputTransform& transform, const T* pixels, int channels, Value value, float* row)
{
    const std::int64_t area = static_cast<std::int64_t>(transform.height) * transform.width;
    for (int c = 0; c < transform.channels; ++c) {
        const T* in = pixels + (channels == 1 ? 0 : c);
        float* out = transform.channels_last ? row + c : row + c * area;
        const int step = transform.channels_last ? transform.channels : 1;
        for (std::int64_t i = 0; i < area; ++i) out[i * step] = value(in[i * channels], c);
    }
}

void normalise(const InputTransform& transform, const std::uint8_t* pixels, int channels,
               float* row)
{
    // 256 divisions instead of one per pixel.
    std::array<std::array<float, 256>, 3> table{};
    for (std::size_t c = 0; c < static_cast<std::size_t>(transform.channels); ++c) {
        const auto [mean, scale] = normalisation_of(transform, c);
        for (std::size_t v = 0; v < 256; ++v) table[c][v] = (static_cast<float>(v) - mean) / scale;
    }
    const auto value = [&](std::uint8_t v, int c) { return table[static_cast<std::size_t>(c)][v]; };
    place(transform, pixels, channels, value, row);
}

void normalise(const InputTransform& transform, const float* pixels, int channels, float* row)
{
    std::array<Normalisation, 3> of_channel;
    for (std::size_t c = 0; c < 3; ++c) of_channel[c] = normalisation_of(transform, c);
    const auto value = [&](float v, int c) {
        const Normalisation& used = of_channel[static_cast<std::size_t>(c)];
        return (v - used.mean) / used.scale;
    };
    place(transform, pixels, channels, value, row);
}

template <class T>
void fit_and_normalise(const InputTransform& transform, const Picture& picture, float* row)
{
    const FittedAxes axes = fitted_axes(transform, picture);
    const T* pixels = picture.pixels.values<T>().data();
    int channels = picture.channels;
    if (transform.channels == 1 && channels == 3) {
        const std::int64_t count = static_cast<std::int64_t>(picture.height) * picture.width;
        T* grey = scratch<T>(static_cast<std::size_t>(count));
        grey_of(pixels, count, grey);
        pixels = grey;
        channels = 1;
    }
    if (is_whole(axes.rows) && is_whole(axes.columns)) {
        normalise(transform, pixels, channels, row);
        return;
    }
    const auto count = static_cast<std::size_t>(transform.height) *
                       static_cast<std::size_t>(transform.width) *
                       static_cast<std::size_t>(channels);
    if constexpr (std::is_same_v<T, std::uint8_t>) {
        if (rounds_each_pass(transform.filter)) {
            thread_local std::vector<std::uint8_t> fitted;
            fitted.resize(count);
            resample_rounded(transform.filter, axes.rows, axes.columns, channels, pixels,
                             fitted.data());
            normalise(transform, fitted.data(), channels, row);
            return;
        }
    }
    thread_local std::vector<float> fitted;
    fitted.resize(count);
    resample(transform.filter, axes.rows, axes.columns, channels, pixels, fitted.data());
    normalise(transform, fitted.data(), channels, row);
}

void copy_prepared(const InputTransform& transform, const Picture& picture, float* row)
{
    TWINSCREEN_REQUIRE(
        picture.height == transform.height && picture.width == transform.width &&
            picture.channels == transform.channels,
        data,
        "a prepared input has shape [{}, {}, {}] (height, width, channels), the twin takes "
        "[{}, {}, {}]. Prepare it for this twin, or give pictures and leave `prepared` out",
        picture.height, picture.width, picture.channels, transform.height, transform.width,
        transform.channels);
    TWINSCREEN_REQUIRE(picture.pixels.type() == ElementType::f32, data,
                       "a prepared input has type {}, expected float32",
                       name_of(picture.pixels.type()));
    const float* in = picture.pixels.values<float>().data();
    const std::int64_t area = static_cast<std::int64_t>(picture.height) * picture.width;
    const int channels = picture.channels;
    if (transform.channels_last || channels == 1) {
        std::memcpy(row, in, static_cast<std::size_t>(area * channels) * sizeof(float));
        return;
    }
    for (std::int64_t c = 0; c < channels; ++c)
        for (std::int64_t i = 0; i < area; ++i) row[c * area + i] = in[i * channels + c];
}

}  // namespace

std::string_view name_of(ResizeFilter filter) noexcept
{
    for (const auto& [known, name] : filter_names)
        if (known == filter) return name;
    return "?";
}

ResizeFilter resize_filter_named(std::string_view name)
{
    std::string known;
    for (const auto& [filter, text] : filter_names) {
        if (text == name) return filter;
        known += fmt::format("{}{}", known.empty() ? "" : ", ", text);
    }
    throw Error(Error::Kind::data, fmt::format("unknown resize filter '{}'", name),
                fmt::format("known filters: {}", known));
}

Shape InputTransform::row_shape() const
{
    return channels_last ? Shape{height, width, channels} : Shape{channels, height, width};
}

std::string InputTransform::text() const
{
    std::string result =
        fmt::format("{} x {} x {} {} fit={} filter={} background={} degrees_per_pixel={}", channels,
                    height, width, channels_last ? "channels_last" : "channels_first",
                    fit_name(fit), name_of(filter), background, degrees_per_pixel);
    for (const float value : mean) result += fmt::format(" mean={}", value);
    for (const float value : scale) result += fmt::format(" scale={}", value);
    return result;
}

void apply_transform(const InputTransform& transform, const Picture& picture, Batch row)
{
    TWINSCREEN_REQUIRE(
        row.type == ElementType::f32 && row.shape.count() == transform.row_shape().count(),
        internal, "a row of network input has type {} and shape {}, expected float32 {}",
        name_of(row.type), row.shape.text(), transform.row_shape().text());
    float* out = values_of<float>(row).data();
    if (picture.prepared) {
        copy_prepared(transform, picture, out);
        return;
    }
    require_picture(picture);
    require_input_of_pictures(transform);
    if (picture.pixels.type() == ElementType::u8)
        fit_and_normalise<std::uint8_t>(transform, picture, out);
    else
        fit_and_normalise<float>(transform, picture, out);
}

double mean_luminance(const Picture& picture)
{
    const auto mean = [](auto values) {
        using T = typename decltype(values)::element_type;
        using Sum =
            std::conditional_t<std::is_same_v<T, const std::uint8_t>, std::uint64_t, double>;
        Sum sum{};
        for (const T value : values) sum += value;
        return static_cast<double>(sum) / static_cast<double>(values.size());
    };
    return picture.pixels.type() == ElementType::u8 ? mean(picture.pixels.values<std::uint8_t>())
                                                    : mean(picture.pixels.values<float>());
}

Picture to_grey(const Picture& picture)
{
    require_picture(picture);
    const std::int64_t count = static_cast<std::int64_t>(picture.height) * picture.width;
    Picture grey{picture.height, picture.width, 1, picture.prepared,
                 OwnedBatch(picture.pixels.type(), {picture.height, picture.width, 1})};
    const auto convert = [&](auto in, auto out) {
        if (picture.channels == 3)
            grey_of(in.data(), count, out.data());
        else
            std::copy(in.begin(), in.end(), out.begin());
    };
    if (picture.pixels.type() == ElementType::u8)
        convert(picture.pixels.values<std::uint8_t>(), grey.pixels.values<std::uint8_t>());
    else
        convert(picture.pixels.values<float>(), grey.pixels.values<float>());
    return grey;
}

Picture resize(const Picture& picture, int height, int width, ResizeFilter filter)
{
    require_picture(picture);
    TWINSCREEN_REQUIRE(height > 0 && width > 0, data,
                       "cannot resize a picture to {} x {} pixels (each side must be at least 1)",
                       height, width);
    Picture result{height, width, picture.channels, picture.prepared,
                   OwnedBatch(picture.pixels.type(), {height, width, picture.channels})};
    const ResampledAxis rows{picture.height, height, 0, height};
    const ResampledAxis columns{picture.width, width, 0, width};
    if (picture.pixels.type() == ElementType::f32) {
        resample(filter, rows, columns, picture.channels, picture.pixels.values<float>().data(),
                 result.pixels.values<float>().data());
        return result;
    }
    const std::uint8_t* source = picture.pixels.values<std::uint8_t>().data();
    const auto out = result.pixels.values<std::uint8_t>();
    if (rounds_each_pass(filter)) {
        resample_rounded(filter, rows, columns, picture.channels, source, out.data());
        return result;
    }
    std::vector<float> exact(out.size());
    resample(filter, rows, columns, picture.channels, source, exact.data());
    for (std::size_t i = 0; i < out.size(); ++i)
        out[i] = static_cast<std::uint8_t>(std::nearbyint(std::clamp(exact[i], 0.0F, 255.0F)));
    return result;
}

}  // namespace twinscreen
