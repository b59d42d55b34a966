#include "engine/stimulus/decode.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <string>

#include "engine/stimulus/limits.hpp"

namespace twinscreen {
namespace {

bool starts_with(std::span<const std::byte> bytes, std::span<const unsigned char> magic)
{
    return bytes.size() >= magic.size() &&
           std::equal(magic.begin(), magic.end(), bytes.begin(), [](unsigned char a, std::byte b) {
               return a == std::to_integer<unsigned char>(b);
           });
}

}  // namespace

bool has_image_extension(std::string_view name)
{
    const auto dot = name.rfind('.');
    if (dot == std::string_view::npos) return false;
    std::string extension(name.substr(dot));
    for (char& c : extension) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return extension == ".png" || extension == ".jpg" || extension == ".jpeg";
}

void detail::require_reasonable_size(std::int64_t width, std::int64_t height)
{
    TWINSCREEN_REQUIRE(width > 0 && height > 0 && width <= most_image_side &&
                           height <= most_image_side && width * height <= most_image_pixels,
                       data,
                       "the image says it has {} x {} pixels (1..{} a side, at most {} in all)",
                       width, height, most_image_side, most_image_pixels);
}

Picture decode_image(std::span<const std::byte> bytes)
{
    static constexpr std::array<unsigned char, 8> png{0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'};
    static constexpr std::array<unsigned char, 3> jpeg{0xFF, 0xD8, 0xFF};
    TWINSCREEN_REQUIRE(!bytes.empty(), data, "the file is empty");
    if (starts_with(bytes, png)) return detail::decode_png(bytes);
    if (starts_with(bytes, jpeg)) return detail::decode_jpeg(bytes);
    throw Error(Error::Kind::data,
                "the file is neither PNG nor JPEG (its first bytes say so, whatever its name)",
                "convert it to PNG or JPEG");
}

}  // namespace twinscreen
