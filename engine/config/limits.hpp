#pragma once

#include <cstddef>
#include <cstdint>

namespace twinscreen {

// What campaigns, twin.toml and tables may hold. Beyond these limits a file is refused with a
// sentence.

inline constexpr std::uint64_t largest_config = std::uint64_t{1} << 20U;  // a TOML file [bytes]
/// Values and dotted keys inside each other; campaigns need about four.
inline constexpr std::size_t deepest_nesting = 64;
inline constexpr std::size_t longest_key = 256;     // [bytes]
inline constexpr std::size_t most_mistakes = 1000;  // of one TOML file; then reading ends
/// For a suggestion: nobody mistypes a longer word, and comparing takes time and memory that grow
/// with its square [bytes].
inline constexpr std::size_t longest_suggestion = 256;

inline constexpr std::uint64_t largest_table = std::uint64_t{256} << 20U;  // a CSV file [bytes]
inline constexpr std::size_t most_table_columns = 16'384;

}  // namespace twinscreen
