#include "engine/base/digest.hpp"

#include <bit>

#include <xxhash.h>

#include "engine/base/error.hpp"

namespace twinscreen {

std::uint64_t checksum_of(std::span<const std::byte> bytes) noexcept
{
    return XXH3_64bits(bytes.data(), bytes.size());
}

std::uint64_t checksum_of(std::string_view text) noexcept
{
    return XXH3_64bits(text.data(), text.size());
}

struct Digest::State {
    XXH3_state_t* hash;
};

void Digest::Free::operator()(State* state) const noexcept
{
    XXH3_freeState(state->hash);
    delete state;
}

Digest::Digest() : state_(new State{XXH3_createState()}) { XXH3_128bits_reset(state_->hash); }

Digest& Digest::add_bytes(std::span<const std::byte> bytes)
{
    XXH3_128bits_update(state_->hash, bytes.data(), bytes.size());
    return *this;
}

Digest& Digest::add(std::string_view text)
{
    add(static_cast<std::uint64_t>(text.size()));
    return add_bytes(std::as_bytes(std::span(text)));
}

Digest& Digest::add(std::uint64_t value) { return add_bytes(std::as_bytes(std::span(&value, 1))); }

Digest& Digest::add(double value) { return add(std::bit_cast<std::uint64_t>(value)); }

std::string Digest::hex() const
{
    const XXH128_hash_t hash = XXH3_128bits_digest(state_->hash);
    return fmt::format("{:016x}{:016x}", hash.high64, hash.low64);
}

}  // namespace twinscreen
