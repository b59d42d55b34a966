#include "kernels/partial_shuffle.hpp"

#include <numeric>

#include "engine/base/error.hpp"
#include "kernels/draw_words.hpp"

namespace twinscreen {
PartialShuffle::PartialShuffle(std::uint32_t items) : order_(items)
{
    std::iota(order_.begin(), order_.end(), 0U);
}

void PartialShuffle::draw(DrawAddress at, std::span<std::uint32_t> chosen)
{
    const auto places = static_cast<std::uint32_t>(chosen.size());
    TWINSCREEN_REQUIRE(places <= items(), internal, "{} places of a permutation of {} items",
                       places, items());
    words_.resize((chosen.size() + 3) / 4 * 4);
    draw_words(at, 0, words_);
    for (std::uint32_t place = 0; place < places; ++place) {
        const std::uint32_t other = place + below(words_[place], items() - place);
        words_[place] = other;
        chosen[place] = order_[other];
        order_[other] = order_[place];
    }
    for (std::uint32_t place = 0; place < places; ++place) order_[words_[place]] = words_[place];
}

}  // namespace twinscreen
