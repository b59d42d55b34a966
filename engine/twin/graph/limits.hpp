#pragma once

#include <cstddef>
#include <cstdint>

namespace twinscreen {

// What a graph may claim. Beyond these limits it is refused with a sentence.

inline constexpr std::uint64_t largest_graph = std::uint64_t{64} << 20U;  // [bytes]
inline constexpr std::size_t deepest_graph = 8;  // objects and lists inside each other
inline constexpr std::size_t most_graph_nodes = 65'536;
inline constexpr std::size_t longest_graph_name = 256;  // [bytes]
inline constexpr std::size_t most_graph_axes = 16;
inline constexpr double largest_graph_constant = 1 << 24;  // computed at load [bytes]
inline constexpr double most_constant_macs = 1 << 24;
inline constexpr std::size_t most_graph_mistakes = 50;  // that one message tells

}  // namespace twinscreen
