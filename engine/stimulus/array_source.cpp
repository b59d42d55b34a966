#include "engine/stimulus/array_source.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "engine/base/digest.hpp"
#include "engine/stimulus/limits.hpp"
#include "kernels/half.hpp"

namespace twinscreen {
namespace {

std::string_view text_of(ArrayLayout layout)
{
    switch (layout) {
        case ArrayLayout::nhw: return "nhw";
        case ArrayLayout::nhwc: return "nhwc";
        case ArrayLayout::nchw: return "nchw";
    }
    return "?";
}

ArrayLayout layout_of(const ArrayHeader& header, const std::string& display,
                      const ArrayOptions& options)
{
    const std::size_t rank = header.shape.size();
    TWINSCREEN_REQUIRE(rank == 3 || rank == 4, data,
                       "{} has shape {}, expected [items, height, width], [items, height, width, "
                       "channels] or [items, channels, height, width]",
                       display, header.shape_text());
    if (options.layout) {
        TWINSCREEN_REQUIRE((*options.layout == ArrayLayout::nhw) == (rank == 3), data,
                           "{} has shape {}, which does not have the axes of layout = \"{}\"",
                           display, header.shape_text(), text_of(*options.layout));
        return *options.layout;
    }
    if (rank == 3) return ArrayLayout::nhw;
    const auto few = [](std::uint64_t extent) { return extent == 1 || extent == 3; };
    const bool first = few(header.shape[1]);
    const bool last = few(header.shape[3]);
    TWINSCREEN_REQUIRE(first != last, data,
                       "{} has shape {}, from which the place of the channels cannot be told. Set "
                       "layout = \"nhwc\" or \"nchw\"",
                       display, header.shape_text());
    return last ? ArrayLayout::nhwc : ArrayLayout::nchw;
}

class ArraySource final : public StimulusSource {
public:
    ArraySource(ReadFile file, ArrayHeader header, std::string display, const ArrayOptions& options)
        : file_(std::move(file)),
          header_(std::move(header)),
          display_(std::move(display)),
          prepared_(options.prepared),
          layout_(layout_of(header_, display_, options))
    {
        const std::vector<std::uint64_t>& shape = header_.shape;
        const bool first = layout_ == ArrayLayout::nchw;
        const std::uint64_t height = first ? shape[2] : shape[1];
        const std::uint64_t width = first ? shape[3] : shape[2];
        const std::uint64_t channels = layout_ == ArrayLayout::nhw ? 1
                                       : first                     ? shape[1]
                                                                   : shape[3];
        std::uint64_t values = 0;
        const bool overflows = __builtin_mul_overflow(height, width, &values) ||
                               __builtin_mul_overflow(values, channels, &values);
        TWINSCREEN_REQUIRE(!overflows && values > 0 && values <= most_item_values, data,
                           "{} has shape {}: an item has no values, or more than {}", display_,
                           header_.shape_text(), most_item_values);
        height_ = static_cast<int>(height);
        width_ = static_cast<int>(width);
        channels_ = static_cast<int>(channels);
        TWINSCREEN_REQUIRE(
            prepared_ || channels_ == 1 || channels_ == 3, data,
            "{} has shape {}, so {} channels in layout \"{}\" (pictures have 1 or 3)", display_,
            header_.shape_text(), channels_, text_of(layout_));
        TWINSCREEN_REQUIRE(shape[0] > 0, data, "{} has shape {}: it holds no items", display_,
                           header_.shape_text());
        read_range(options);
        content_ = sampled_digest();
    }

    std::uint64_t count() const noexcept override { return header_.shape[0]; }
    bool drawn_for_canvas() const noexcept override { return false; }

    Picture draw(ItemId item, const InputTransform&) const override
    {
        const std::size_t values = static_cast<std::size_t>(height_) *
                                   static_cast<std::size_t>(width_) *
                                   static_cast<std::size_t>(channels_);
        const std::size_t bytes = values * bytes_of(header_.type);
        thread_local std::vector<std::byte> raw;
        raw.resize(bytes);
        file_.read(header_.offset + index_of(item) * bytes, raw);
        const bool as_bytes = header_.type == ElementType::u8 && !prepared_;
        Picture picture{height_, width_, channels_, prepared_,
                        OwnedBatch(as_bytes ? ElementType::u8 : ElementType::f32,
                                   {height_, width_, channels_})};
        if (as_bytes) {
            place(raw.data(), picture.pixels.values<std::uint8_t>(),
                  [](std::byte b) { return std::to_integer<std::uint8_t>(b); });
            return picture;
        }
        const auto out = picture.pixels.values<float>();
        switch (header_.type) {
            case ElementType::u8:
                place(raw.data(), out,
                      [](std::byte b) { return static_cast<float>(std::to_integer<unsigned>(b)); });
                break;
            case ElementType::f16:
                place(reinterpret_cast<const std::uint16_t*>(raw.data()), out,
                      [this](std::uint16_t v) { return scaled(float_from_half(v)); });
                break;
            case ElementType::f32:
                place(reinterpret_cast<const float*>(raw.data()), out,
                      [this](float v) { return scaled(v); });
                break;
            case ElementType::f64:
                place(reinterpret_cast<const double*>(raw.data()), out,
                      [this](double v) { return scaled(v); });
                break;
            case ElementType::i32:
            case ElementType::i64:
            case ElementType::u64:
            case ElementType::bf16: break;
        }
        require_plausible(out, item);
        return picture;
    }

    void check(const InputTransform& canvas) const override
    {
        TWINSCREEN_REQUIRE(
            !prepared_ || (height_ == canvas.height && width_ == canvas.width &&
                           channels_ == canvas.channels),
            data,
            "{} holds prepared inputs of {} x {} x {} (channels, height, width), the "
            "twin takes {} x {} x {}",
            display_, channels_, height_, width_, canvas.channels, canvas.height, canvas.width);
        TWINSCREEN_REQUIRE(
            prepared_ || canvas.fit != InputTransform::Fit::exact ||
                (height_ == canvas.height && width_ == canvas.width),
            data,
            "{} holds pictures of {} x {} pixels, the twin takes exactly {} x {} (fit = \"exact\")",
            display_, height_, width_, canvas.height, canvas.width);
    }

    Table describe(ItemRange items) const override
    {
        std::vector<std::string> names(items.count, display_);
        std::vector<std::int64_t> rows(items.count);
        for (std::uint64_t i = 0; i < items.count; ++i)
            rows[i] = static_cast<std::int64_t>(index_of(items.first) + i);
        Table table;
        table.columns.push_back({"file", "", std::move(names)});
        table.columns.push_back({"row", "", std::move(rows)});
        return table;
    }

    std::string identity() const override
    {
        return fmt::format(
            "array type={} shape={} layout={} low={} high={} prepared={} sampled content {}",
            name_of(header_.type), header_.shape_text(), text_of(layout_), low_, high_, prepared_,
            content_);
    }

    std::string summary() const override
    {
        return fmt::format("{} {} of {} x {} x {} from {}", count(),
                           prepared_ ? "prepared inputs" : "pictures", height_, width_, channels_,
                           display_);
    }

private:
    /// Digest of slices spread evenly over the values: notices another array of the same shape at
    /// the price of reading 1 MiB, however large the array is.
    std::string sampled_digest() const
    {
        constexpr std::uint64_t slices = 256;
        constexpr std::uint64_t slice_bytes = 4096;
        const std::uint64_t total = header_.values() * bytes_of(header_.type);
        std::vector<std::byte> bytes(std::min(total, slices * slice_bytes));
        Digest digest;
        if (total <= bytes.size()) {
            file_.read(header_.offset, bytes);
            return digest.add_bytes(bytes).hex();
        }
        const double step =
            static_cast<double>(total - slice_bytes) / static_cast<double>(slices - 1);
        const auto slice = std::span(bytes).first(slice_bytes);
        for (std::uint64_t i = 0; i < slices; ++i) {
            const auto at = static_cast<std::uint64_t>(step * static_cast<double>(i));
            file_.read(header_.offset + std::min(at, total - slice_bytes), slice);
            digest.add_bytes(slice);
        }
        return digest.hex();
    }

    void read_range(const ArrayOptions& options)
    {
        const bool is_float = header_.type != ElementType::u8;
        if (!is_float || prepared_) return;
        TWINSCREEN_REQUIRE(
            options.range_low && options.range_high, data,
            "{} holds {} values, whose black and white are unknown. Set range = [0, 1] "
            "or range = [0, 255], or prepared = true if they are the twin's network "
            "input already",
            display_, name_of(header_.type));
        low_ = *options.range_low;
        high_ = *options.range_high;
        TWINSCREEN_REQUIRE(std::isfinite(low_) && std::isfinite(high_) && low_ < high_, data,
                           "{}: range = [{}, {}] is empty", display_, low_, high_);
    }

    template <class V>
    float scaled(V value) const
    {
        if (prepared_ || (low_ == 0.0 && high_ == 255.0)) return static_cast<float>(value);
        return static_cast<float>((static_cast<double>(value) - low_) / (high_ - low_) * 255.0);
    }

    /// Converts values in the file's order to [height, width, channels].
    template <class From, class To, class Convert>
    void place(const From* in, std::span<To> out, Convert convert) const
    {
        if (layout_ != ArrayLayout::nchw) {
            for (std::size_t i = 0; i < out.size(); ++i) out[i] = convert(in[i]);
            return;
        }
        const auto channels = static_cast<std::size_t>(channels_);
        const std::size_t pixels = out.size() / channels;
        for (std::size_t c = 0; c < channels; ++c)
            for (std::size_t i = 0; i < pixels; ++i)
                out[i * channels + c] = convert(in[c * pixels + i]);
    }

    void require_plausible(std::span<const float> values, ItemId item) const
    {
        // Filters overshoot a little; values half a range away belong to another range.
        constexpr float lowest = -127.5F;
        constexpr float highest = 382.5F;
        std::size_t bad = 0;
        std::size_t outside = 0;
        for (const float value : values) {
            bad += std::isfinite(value) ? 0U : 1U;
            outside += value < lowest || value > highest ? 1U : 0U;
        }
        TWINSCREEN_REQUIRE(bad == 0, data, "{}: row {} holds {} values that are not finite",
                           display_, index_of(item), bad);
        TWINSCREEN_REQUIRE(prepared_ || outside == 0, data,
                           "{}: row {} holds {} values far outside range = [{}, {}]. Set the range "
                           "that the array has",
                           display_, index_of(item), outside, low_, high_);
    }

    ReadFile file_;
    ArrayHeader header_;
    std::string display_;
    bool prepared_;
    ArrayLayout layout_;
    int height_ = 0;
    int width_ = 0;
    int channels_ = 0;
    double low_ = 0.0;
    double high_ = 255.0;
    std::string content_;
};

}  // namespace

std::unique_ptr<StimulusSource> make_array_source(ReadFile file, ArrayHeader header,
                                                  std::string display, const ArrayOptions& options)
{
    return std::make_unique<ArraySource>(std::move(file), std::move(header), std::move(display),
                                         options);
}

}  // namespace twinscreen
