#pragma once

#include <cstddef>
#include <cstdint>

namespace twinscreen {

// What a file of tensors may claim. Beyond these limits it is refused with a sentence. Its data may
// be as large as memory.

inline constexpr std::uint64_t largest_tensor_header = std::uint64_t{16} << 20U;  // [bytes]
inline constexpr std::size_t deepest_tensor_header = 3;  // objects and lists inside each other
inline constexpr std::size_t most_tensors = 65'536;
inline constexpr std::size_t longest_tensor_name = 256;  // [bytes]
inline constexpr std::size_t most_tensor_axes = 16;

}  // namespace twinscreen
