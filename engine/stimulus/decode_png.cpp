#include <array>
#include <csetjmp>
#include <cstring>
#include <vector>

#include <png.h>

#include "engine/stimulus/decode.hpp"
#include "engine/stimulus/limits.hpp"

namespace twinscreen {
namespace {

/// What libpng's callbacks see: the bytes left, and the reason of a failure. Plain data, because
/// libpng leaves by longjmp.
struct Reading {
    const std::byte* next;
    std::size_t left;
    std::array<char, 128> problem;
};

void give_bytes(png_structp png, png_bytep out, size_t wanted)
{
    auto* reading = static_cast<Reading*>(png_get_io_ptr(png));
    if (reading->left < wanted) png_error(png, "the file ends too early");
    std::memcpy(out, reading->next, wanted);
    reading->next += wanted;
    reading->left -= wanted;
}

[[noreturn]] void fail(png_structp png, png_const_charp message)
{
    auto* reading = static_cast<Reading*>(png_get_error_ptr(png));
    std::strncpy(reading->problem.data(), message, reading->problem.size() - 1);
    png_longjmp(png, 1);
}

void ignore_warning(png_structp, png_const_charp) {}

struct Header {
    png_uint_32 width;
    png_uint_32 height;
    int channels;              // after the conversions: 1 grey, 2 grey + alpha, 3 RGB, 4 RGBA
    std::uint64_t file_bytes;  // of all rows before the conversions
};

// The two functions below may be left by longjmp: they hold nothing that needs a destructor.

bool read_header(png_structp png, png_infop info, Header* header)
{
    if (setjmp(png_jmpbuf(png)) != 0) return false;
    png_read_info(png, info);
    const png_byte colour = png_get_color_type(png, info);
    header->file_bytes =
        std::uint64_t{png_get_rowbytes(png, info)} * png_get_image_height(png, info);
    png_set_expand(png);
    if (png_get_bit_depth(png, info) == 16) png_set_scale_16(png);
    png_set_interlace_handling(png);
    png_read_update_info(png, info);
    header->width = png_get_image_width(png, info);
    header->height = png_get_image_height(png, info);
    header->channels = png_get_channels(png, info);
    return png_get_rowbytes(png, info) == static_cast<std::size_t>(header->width) *
                                              static_cast<std::size_t>(header->channels) &&
           (colour & ~(PNG_COLOR_MASK_PALETTE | PNG_COLOR_MASK_COLOR | PNG_COLOR_MASK_ALPHA)) == 0;
}

bool read_pixels(png_structp png, png_bytepp rows)
{
    if (setjmp(png_jmpbuf(png)) != 0) return false;
    png_read_image(png, rows);
    png_read_end(png, nullptr);
    return true;
}

/// Owns libpng's two structures.
class Decoder {
public:
    explicit Decoder(std::span<const std::byte> bytes) : reading_{bytes.data(), bytes.size(), {}}
    {
        png_ = png_create_read_struct(PNG_LIBPNG_VER_STRING, &reading_, fail, ignore_warning);
        info_ = png_ == nullptr ? nullptr : png_create_info_struct(png_);
        if (info_ == nullptr) {
            png_destroy_read_struct(&png_, &info_, nullptr);
            throw Error(Error::Kind::internal, "libpng cannot start");
        }
        png_set_read_fn(png_, &reading_, give_bytes);
        png_set_user_limits(png_, most_image_side, most_image_side);
    }
    ~Decoder() { png_destroy_read_struct(&png_, &info_, nullptr); }
    Decoder(const Decoder&) = delete;
    Decoder& operator=(const Decoder&) = delete;

    Header header()
    {
        Header result{};
        require(read_header(png_, info_, &result));
        return result;
    }
    void pixels(png_bytepp rows) { require(read_pixels(png_, rows)); }

private:
    void require(bool succeeded) const
    {
        TWINSCREEN_REQUIRE(
            succeeded, data, "the PNG data are damaged or cut ({})",
            reading_.problem[0] != '\0' ? reading_.problem.data() : "odd colour type");
    }

    Reading reading_;
    png_structp png_ = nullptr;
    png_infop info_ = nullptr;
};

/// Lays pixels with alpha over mid grey, 127.5, and rounds half up.
void drop_alpha(const std::uint8_t* from, std::size_t pixels, std::size_t colours, std::uint8_t* to)
{
    for (std::size_t i = 0; i < pixels; ++i) {
        const unsigned alpha = from[colours];
        for (std::size_t c = 0; c < colours; ++c)
            *to++ = static_cast<std::uint8_t>(
                (2U * from[c] * alpha + 255U * (255U - alpha) + 255U) / 510U);
        from += colours + 1;
    }
}

}  // namespace

Picture detail::decode_png(std::span<const std::byte> bytes)
{
    Decoder decoder(bytes);
    const Header header = decoder.header();
    require_reasonable_size(header.width, header.height);
    TWINSCREEN_REQUIRE(header.file_bytes / most_shrinking <= bytes.size(), data,
                       "the PNG data are damaged or cut ({} x {} pixels in {} bytes)", header.width,
                       header.height, bytes.size());
    const auto height = static_cast<int>(header.height);
    const auto width = static_cast<int>(header.width);
    const int colours = header.channels <= 2 ? 1 : 3;
    OwnedBatch raw(ElementType::u8, {height, width, header.channels});
    std::uint8_t* first = raw.values<std::uint8_t>().data();
    std::vector<png_bytep> rows(header.height);
    const std::size_t stride =
        static_cast<std::size_t>(width) * static_cast<std::size_t>(header.channels);
    for (std::size_t row = 0; row < rows.size(); ++row) rows[row] = first + row * stride;
    decoder.pixels(rows.data());
    if (header.channels == colours) return {height, width, colours, false, std::move(raw)};
    Picture picture{height, width, colours, false,
                    OwnedBatch(ElementType::u8, {height, width, colours})};
    drop_alpha(first, static_cast<std::size_t>(height) * static_cast<std::size_t>(width),
               static_cast<std::size_t>(colours), picture.pixels.values<std::uint8_t>().data());
    return picture;
}

}  // namespace twinscreen
