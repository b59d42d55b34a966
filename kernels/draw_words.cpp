#include "kernels/draw_words.hpp"

#include <array>

#include "engine/base/error.hpp"
#include "kernels/vectorise.hpp"

namespace twinscreen {
namespace {

constexpr std::size_t lanes = 32;
using Lanes = std::array<std::uint32_t, lanes>;

/// Philox4x32-10 (Salmon et al. 2011) for `lanes` indices side by side; the constants are theirs.
TWINSCREEN_VECTOR_CLONES
void philox(DrawAddress at, std::uint32_t first_index, std::uint32_t* __restrict__ words)
{
    Lanes c0;
    Lanes c1;
    Lanes c2;
    Lanes c3;
    for (std::uint32_t lane = 0; lane < lanes; ++lane) {
        c0[lane] = first_index + lane;
        c1[lane] = static_cast<std::uint32_t>(at.stream);
        c2[lane] = static_cast<std::uint32_t>(at.item);
        c3[lane] = static_cast<std::uint32_t>(at.item >> 32U);
    }
    auto k0 = static_cast<std::uint32_t>(at.seed);
    auto k1 = static_cast<std::uint32_t>(at.seed >> 32U);
    for (int round = 0; round < 10; ++round) {
        for (std::size_t lane = 0; lane < lanes; ++lane) {
            const std::uint64_t first = std::uint64_t{0xD2511F53U} * c0[lane];
            const std::uint64_t second = std::uint64_t{0xCD9E8D57U} * c2[lane];
            c0[lane] = static_cast<std::uint32_t>(second >> 32U) ^ c1[lane] ^ k0;
            c1[lane] = static_cast<std::uint32_t>(second);
            c2[lane] = static_cast<std::uint32_t>(first >> 32U) ^ c3[lane] ^ k1;
            c3[lane] = static_cast<std::uint32_t>(first);
        }
        k0 += 0x9E3779B9U;
        k1 += 0xBB67AE85U;
    }
    for (std::size_t lane = 0; lane < lanes; ++lane) {
        words[4 * lane] = c0[lane];
        words[4 * lane + 1] = c1[lane];
        words[4 * lane + 2] = c2[lane];
        words[4 * lane + 3] = c3[lane];
    }
}

}  // namespace

void draw_words(DrawAddress at, std::uint32_t first_index, std::span<std::uint32_t> words)
{
    TWINSCREEN_REQUIRE(words.size() % 4 == 0, internal, "{} words are no whole draws",
                       words.size());
    std::size_t done = 0;
    for (; done + 4 * lanes <= words.size(); done += 4 * lanes)
        philox(at, first_index + static_cast<std::uint32_t>(done / 4), words.data() + done);
    for (; done < words.size(); done += 4) {
        const auto bits = draw_bits(
            {at.seed, at.stream, at.item, first_index + static_cast<std::uint32_t>(done / 4)});
        for (std::size_t word = 0; word < 4; ++word) words[done + word] = bits[word];
    }
}

}  // namespace twinscreen
