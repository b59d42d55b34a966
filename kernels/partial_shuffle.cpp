#include "kernels/partial_shuffle.hpp"

#include <numeric>

#include "engine/base/error.hpp"
#include "kernels/vectorise.hpp"

namespace twinscreen {
namespace {

/// words  [4 * calls]  those of indices 0 ... calls - 1
TWINSCREEN_VECTOR_CLONES
void fill_words(DrawAddress at, std::uint32_t calls, std::uint32_t* __restrict__ words)
{
    for (std::uint32_t call = 0; call < calls; ++call) {
        const auto bits = draw_bits({at.seed, at.stream, at.item, call});
        for (std::size_t word = 0; word < 4; ++word) words[4 * call + word] = bits[word];
    }
}

}  // namespace

PartialShuffle::PartialShuffle(std::uint32_t items) : order_(items)
{
    std::iota(order_.begin(), order_.end(), 0U);
}

void PartialShuffle::draw(DrawAddress at, std::span<std::uint32_t> chosen)
{
    const auto places = static_cast<std::uint32_t>(chosen.size());
    TWINSCREEN_REQUIRE(places <= items(), internal, "{} places of a permutation of {} items",
                       places, items());
    const std::uint32_t calls = (places + 3) / 4;
    if (words_.size() < std::size_t{4} * calls) words_.resize(std::size_t{4} * calls);
    fill_words(at, calls, words_.data());
    for (std::uint32_t place = 0; place < places; ++place) {
        const std::uint32_t other = place + below(words_[place], items() - place);
        words_[place] = other;
        chosen[place] = order_[other];
        order_[other] = order_[place];
    }
    for (std::uint32_t place = 0; place < places; ++place) order_[words_[place]] = words_[place];
}

}  // namespace twinscreen
