#pragma once

#include <array>
#include <cstddef>

namespace twinscreen {

/// Whether a set raises or lowers the mean response of an area.
enum class Direction { high, low };

/// What a controlling set does to the two areas of a pair: align them (both up, both down) or
/// disentangle them (one up, one down) (Gifford et al. 2024).
struct Condition {
    const char* name;
    std::array<Direction, 2> direction;

    bool aligns() const noexcept { return direction[0] == direction[1]; }
};

inline constexpr std::array<Condition, 4> conditions{{
    {"high_high", {Direction::high, Direction::high}},
    {"low_low", {Direction::low, Direction::low}},
    {"high_low", {Direction::high, Direction::low}},
    {"low_high", {Direction::low, Direction::high}},
}};

}  // namespace twinscreen
