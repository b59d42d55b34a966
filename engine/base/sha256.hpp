#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace twinscreen {

/// SHA-256 of bytes (FIPS 180-4), 64 lower-case hexadecimal digits: where somebody has to trust a
/// file, as nobody can make another one with the same digest.
std::string sha256_of(std::span<const std::byte> bytes);

}  // namespace twinscreen
