#pragma once

#include <cstddef>
#include <cstdint>

namespace twinscreen {

// What files of stimuli may claim. Beyond these limits a file is refused with a sentence, before
// the memory is asked for.

inline constexpr std::int64_t most_image_side = 65'500;                      // [pixels]
inline constexpr std::int64_t most_image_pixels = std::int64_t{256} << 20U;  // [pixels]
/// Of one encoded image, as a file or unpacked from an archive [bytes].
inline constexpr std::uint64_t most_image_bytes = std::uint64_t{1} << 30U;

/// Deflate, which PNG and zip use, shrinks no further (zlib's technical details) [bytes per byte].
/// What claims more is damaged or a trap.
inline constexpr std::uint64_t most_shrinking = 1032;
/// Twice what Huffman codes reach, a bit for each block of 8 x 8 [pixels per byte].
inline constexpr std::uint64_t most_jpeg_shrinking = 1024;

inline constexpr std::uint64_t most_zip_entries = 20'000'000;
inline constexpr std::size_t longest_image_name = 4096;                 // in an archive [bytes]
inline constexpr std::uint64_t largest_list = std::uint64_t{1} << 30U;  // of paths [bytes]

inline constexpr std::uint64_t longest_npy_header = 65'536;  // [bytes]
inline constexpr std::size_t most_array_axes = 6;
/// Of one item of an array: three channels of the largest image.
inline constexpr std::uint64_t most_item_values = 3 * std::uint64_t{most_image_pixels};

}  // namespace twinscreen
