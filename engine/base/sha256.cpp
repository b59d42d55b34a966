#include "engine/base/sha256.hpp"

#include <array>

#include <openssl/evp.h>

#include "engine/base/error.hpp"

namespace twinscreen {

std::string sha256_of(std::span<const std::byte> bytes)
{
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned int length = 0;
    const int done = EVP_Digest(bytes.data(), bytes.size(), digest.data(), &length, EVP_sha256(),
                                /*engine=*/nullptr);
    TWINSCREEN_REQUIRE(done == 1 && length == 32, internal, "OpenSSL computes no SHA-256");
    std::string text;
    for (unsigned int i = 0; i < length; ++i) text += fmt::format("{:02x}", digest[i]);
    return text;
}

}  // namespace twinscreen
