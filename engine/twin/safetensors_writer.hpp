#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "engine/base/types.hpp"

namespace twinscreen {

/// A tensor as it goes into a file.
struct TensorBytes {
    std::string name;
    ElementType type = ElementType::f32;
    std::vector<std::int64_t> shape;
    std::span<const std::byte> bytes;  ///< little-endian, row-major
};

/// Writes a .safetensors file, tensors in the given order. Throws Error(store) if it cannot.
void write_safetensors(const std::filesystem::path& file, const std::vector<TensorBytes>& tensors);

}  // namespace twinscreen
