#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/read_file.hpp"
#include "engine/base/types.hpp"

namespace twinscreen {

/// Where the values of an array lie in a file: row-major, little-endian, contiguous.
struct ArrayHeader {
    ElementType type = ElementType::u8;  ///< u8, f16, f32 or f64; i32 or i64 where these are taken
    std::vector<std::uint64_t> shape;
    std::uint64_t offset = 0;  ///< of the first value [bytes]

    std::uint64_t values() const noexcept;
    std::string shape_text() const;
};

/// Whether arrays of int32 and int64 are taken: pictures have none, counts of spikes are.
enum class Integers { refuse, take };

/// Reads and checks the header of a .npy file (format versions 1 to 3). Throws Error(data) for
/// anything but a complete, row-major array of uint8, float16, float32 or float64.
ArrayHeader read_npy_header(const ReadFile& file, Integers integers = Integers::refuse);

/// The header of a version 1 .npy file, padded to a multiple of 64 bytes.
std::string npy_header_text(ElementType type, const std::vector<std::uint64_t>& shape);

/// Throws Error(data) if the file is too short for the array or its size overflows.
void require_complete(const ReadFile& file, const ArrayHeader& header);

}  // namespace twinscreen
