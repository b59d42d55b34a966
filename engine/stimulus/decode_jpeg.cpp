#include <memory>

#include <turbojpeg.h>

#include "engine/stimulus/decode.hpp"
#include "engine/stimulus/limits.hpp"

namespace twinscreen {
namespace {

struct CloseDecoder {
    void operator()(void* handle) const noexcept { tjDestroy(handle); }
};

/// A new decoder for every image: one that is used again keeps the tables of earlier images (and
/// fails after a damaged one), so that pixels would depend on what was read before.
using Decoder = std::unique_ptr<void, CloseDecoder>;

}  // namespace

Picture detail::decode_jpeg(std::span<const std::byte> bytes)
{
    const Decoder decoder(tjInitDecompress());
    TWINSCREEN_REQUIRE(decoder != nullptr, internal, "libjpeg-turbo cannot start ({})",
                       tjGetErrorStr());
    const auto* data = reinterpret_cast<const unsigned char*>(bytes.data());
    const auto size = static_cast<unsigned long>(bytes.size());
    int width = 0;
    int height = 0;
    int sampling = 0;
    int colours = 0;
    TWINSCREEN_REQUIRE(
        tjDecompressHeader3(decoder.get(), data, size, &width, &height, &sampling, &colours) == 0,
        data, "the JPEG header cannot be read ({})", tjGetErrorStr2(decoder.get()));
    TWINSCREEN_REQUIRE(colours != TJCS_CMYK && colours != TJCS_YCCK, data,
                       "the JPEG has CMYK colours (print colours have no fixed screen values). "
                       "Convert it to RGB");
    require_reasonable_size(width, height);
    TWINSCREEN_REQUIRE(static_cast<std::uint64_t>(width) * static_cast<std::uint64_t>(height) /
                               most_jpeg_shrinking <=
                           bytes.size(),
                       data, "the JPEG data are damaged or cut ({} x {} pixels in {} bytes)", width,
                       height, bytes.size());
    const bool grey = colours == TJCS_GRAY;
    const int channels = grey ? 1 : 3;
    Picture picture{height, width, channels, false,
                    OwnedBatch(ElementType::u8, {height, width, channels})};
    // Warnings stop the decoder: a cut file would otherwise be filled up with grey. A progressive
    // image may have 500 scans: each goes through all pixels, however few bytes it has.
    const int result = tjDecompress2(
        decoder.get(), data, size, picture.pixels.values<std::uint8_t>().data(), width, 0, height,
        grey ? TJPF_GRAY : TJPF_RGB, TJFLAG_STOPONWARNING | TJFLAG_LIMITSCANS);
    TWINSCREEN_REQUIRE(result == 0, data, "the JPEG data are damaged or cut ({})",
                       tjGetErrorStr2(decoder.get()));
    return picture;
}

}  // namespace twinscreen
