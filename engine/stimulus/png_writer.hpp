#pragma once

#include <filesystem>

#include "kernels/image.hpp"

namespace twinscreen {

/// Writes a picture as 8-bit grey or RGB PNG; f32 values [0..255] are rounded and cut. Replaces an
/// existing file. Throws Error(store) if the file cannot be written.
void write_png(const Picture& picture, const std::filesystem::path& path);

}  // namespace twinscreen
