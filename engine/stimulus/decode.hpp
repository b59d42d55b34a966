#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include "kernels/image.hpp"

namespace twinscreen {

/// True for names that end in .png, .jpg or .jpeg, in any case.
bool has_image_extension(std::string_view name);

/// Decodes a PNG or JPEG image, told apart by its first bytes. Independent, thread-safe.
///
/// Grey images give 1 channel, all others 3. 16-bit samples are rounded to 8, palettes expanded,
/// transparent pixels laid over mid grey (127.5). Colour profiles, gamma and orientation marks are
/// not applied. Throws Error(data) without the file's name for anything but a complete image
/// within the limits of engine/stimulus/limits.hpp.
Picture decode_image(std::span<const std::byte> bytes);

namespace detail {
Picture decode_png(std::span<const std::byte> bytes);
Picture decode_jpeg(std::span<const std::byte> bytes);
/// Throws Error(data) for sizes beyond the limits.
void require_reasonable_size(std::int64_t width, std::int64_t height);
}  // namespace detail

}  // namespace twinscreen
