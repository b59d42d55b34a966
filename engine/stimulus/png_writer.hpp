#pragma once

#include <cstddef>
#include <filesystem>

#include "kernels/image.hpp"

namespace twinscreen {

/// Writes a picture as 8-bit grey or RGB PNG; f32 values [0..255] are rounded and cut. Replaces an
/// existing file. Throws Error(store) if the file cannot be written.
void write_png(const Picture& picture, const std::filesystem::path& path);

/// Size of the file that `write_png` would write [bytes]. Each row is filtered as makes the sum of
/// its absolute residuals smallest, then deflated at zlib's default level with its strategy for
/// filtered data.
std::size_t png_bytes(const Picture& picture);

}  // namespace twinscreen
