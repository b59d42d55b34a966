#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace twinscreen {

/// XXH3-64 of bytes: identity, not security.
std::uint64_t checksum_of(std::span<const std::byte> bytes) noexcept;
std::uint64_t checksum_of(std::string_view text) noexcept;

/// XXH3-128 fed piece by piece. Pieces are length-prefixed where `add` takes text or numbers,
/// so ("ab", "c") and ("a", "bc") differ.
class Digest {
public:
    Digest();
    Digest& add_bytes(std::span<const std::byte> bytes);
    Digest& add(std::string_view text);
    Digest& add(std::uint64_t value);
    Digest& add(double value);
    /// 32 lower-case hexadecimal digits.
    std::string hex() const;

private:
    struct State;
    struct Free {
        void operator()(State* state) const noexcept;
    };
    std::unique_ptr<State, Free> state_;
};

}  // namespace twinscreen
