#include "engine/stimulus/png_writer.hpp"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>

#include <png.h>

namespace twinscreen {
namespace {

std::vector<std::uint8_t> bytes_of_picture(const Picture& picture)
{
    if (picture.pixels.type() == ElementType::u8) {
        const auto values = picture.pixels.values<std::uint8_t>();
        return {values.begin(), values.end()};
    }
    std::vector<std::uint8_t> result;
    for (const float value : picture.pixels.values<float>())
        result.push_back(static_cast<std::uint8_t>(std::lround(std::clamp(value, 0.0F, 255.0F))));
    return result;
}

png_image description_of(const Picture& picture)
{
    png_image image{};
    image.version = PNG_IMAGE_VERSION;
    image.width = static_cast<png_uint_32>(picture.width);
    image.height = static_cast<png_uint_32>(picture.height);
    image.format = picture.channels == 1 ? PNG_FORMAT_GRAY : PNG_FORMAT_RGB;
    return image;
}

}  // namespace

void write_png(const Picture& picture, const std::filesystem::path& path)
{
    const std::vector<std::uint8_t> pixels = bytes_of_picture(picture);
    png_image image = description_of(picture);
    errno = 0;
    const int written = png_image_write_to_file(&image, path.c_str(), 0, pixels.data(), 0, nullptr);
    TWINSCREEN_REQUIRE(written != 0, store, "cannot write {} ({}{}{})", path.string(),
                       image.message, errno != 0 ? ": " : "",
                       errno != 0 ? std::strerror(errno) : "");
}

std::size_t png_bytes(const Picture& picture)
{
    const std::vector<std::uint8_t> pixels = bytes_of_picture(picture);
    png_image image = description_of(picture);
    png_alloc_size_t bytes = 0;
    const int counted =
        png_image_write_to_memory(&image, nullptr, &bytes, 0, pixels.data(), 0, nullptr);
    TWINSCREEN_REQUIRE(counted != 0, internal, "cannot compress a picture of {} x {} pixels ({})",
                       picture.height, picture.width, image.message);
    return bytes;
}

}  // namespace twinscreen
