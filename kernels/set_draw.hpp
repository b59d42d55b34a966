#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "kernels/random.hpp"

namespace twinscreen {

/// Most ids of one drawn set: the words of one member then fit its addresses.
inline constexpr std::uint32_t largest_set = 2048;

/// Where the words of one set of a search begin: a member has 1024 blocks of four words.
///
/// member  < 2^22
TWINSCREEN_FUNCTION constexpr DrawAddress set_address(std::uint64_t seed, DrawStream stream,
                                                      std::uint32_t chain, std::uint32_t generation,
                                                      std::uint32_t member) noexcept
{
    return {seed, stream, static_cast<std::uint64_t>(chain) << 32U | generation, member << 10U};
}

/// The words of consecutive addresses, one after the other.
class DrawWords {
public:
    TWINSCREEN_FUNCTION explicit DrawWords(DrawAddress first) noexcept : at_(first) {}

    TWINSCREEN_FUNCTION std::uint32_t next() noexcept
    {
        if (used_ == words_.size()) {
            words_ = draw_bits(at_);
            ++at_.index;
            used_ = 0;
        }
        return words_[used_++];
    }

private:
    DrawAddress at_;
    std::array<std::uint32_t, 4> words_{};
    std::size_t used_ = 4;
};

/// Values that lie the same distance apart: one set of many that are stored position by position.
template <class T>
struct Apart {
    T* first = nullptr;
    std::int64_t distance = 1;

    TWINSCREEN_FUNCTION T& operator[](std::uint32_t at) const noexcept
    {
        return first[at * distance];
    }
    TWINSCREEN_FUNCTION Apart operator+(std::uint32_t places) const noexcept
    {
        return {first + places * distance, distance};
    }
};

namespace detail {

/// Sum over all values of the number of smaller ones, which goes to `smaller`:
/// count (count - 1) / 2 only if no two are equal.
template <class Values, class Counts>
TWINSCREEN_FUNCTION inline std::uint32_t count_smaller(Values values, std::uint32_t count,
                                                       Counts smaller) noexcept
{
    std::uint32_t sum = 0;
    for (std::uint32_t i = 0; i < count; ++i) {
        const std::uint32_t value = values[i];
        std::uint32_t below_value = 0;
        for (std::uint32_t j = 0; j < count; ++j) below_value += values[j] < value ? 1U : 0U;
        smaller[i] = below_value;
        sum += below_value;
    }
    return sum;
}

/// Floyd's rule: of draws in drawing order, one that came before becomes the largest id it could
/// have been, which cannot be there yet.
template <class Values>
TWINSCREEN_FUNCTION inline void replace_repeated(Values drawn, std::uint32_t count,
                                                 std::uint32_t bound) noexcept
{
    for (std::uint32_t i = 1; i < count; ++i) {
        bool is_there = false;
        for (std::uint32_t j = 0; j < i; ++j) is_there |= drawn[j] == drawn[i];
        if (is_there) drawn[i] = bound - count + i;
    }
}

}  // namespace detail

/// `count` distinct ids of [0, bound), every set equally likely up to the bias of `below`, in
/// ascending order (Floyd's algorithm, Bentley & Floyd 1987). Takes `count` words.
///
/// Ids lie one after the other (pointers) or Apart.
///
/// ids      [count]      count <= bound <= 2^31, count <= largest_set
/// scratch  [2 * count]
template <class Ids, class Scratch>
TWINSCREEN_FUNCTION inline void draw_set(DrawWords& words, std::uint32_t bound, std::uint32_t count,
                                         Ids ids, Scratch scratch) noexcept
{
    const Scratch drawn = scratch;
    const Scratch place = scratch + count;
    for (std::uint32_t i = 0; i < count; ++i) drawn[i] = below(words.next(), bound - count + i + 1);
    if (detail::count_smaller(drawn, count, place) != count * (count - 1) / 2) {
        detail::replace_repeated(drawn, count, bound);
        detail::count_smaller(drawn, count, place);
    }
    for (std::uint32_t i = 0; i < count; ++i) ids[place[i]] = drawn[i];
}

/// A copy of a set in which `exchanged` ids, at positions drawn uniformly, are replaced by as many
/// that are not in the set, drawn uniformly from all of those. Takes 2 * exchanged words:
/// positions, then ids.
///
/// set      [count]          ascending ids of [0, bound)
/// result   [count]          ascending; exactly `exchanged` ids are not in `set`
/// scratch  [3 * exchanged]  exchanged <= count, exchanged <= bound - count
template <class Set, class Result, class Scratch>
TWINSCREEN_FUNCTION inline void draw_mutant(DrawWords& words, std::uint32_t bound, Set set,
                                            std::uint32_t count, std::uint32_t exchanged,
                                            Result result, Scratch scratch) noexcept
{
    std::array<std::uint64_t, largest_set / 64> removed;  // one bit a position
    for (std::uint32_t word = 0; word <= (count - 1) / 64; ++word) removed[word] = 0;
    const auto is_removed = [&](std::uint32_t at) {
        return (removed[at / 64] >> (at % 64) & 1U) != 0;
    };
    for (std::uint32_t i = 0; i < exchanged; ++i) {  // Floyd's algorithm
        const std::uint32_t last = count - exchanged + i;
        std::uint32_t at = below(words.next(), last + 1);
        if (is_removed(at)) at = last;
        removed[at / 64] |= std::uint64_t{1} << (at % 64);
    }

    // The r-th id that is not in the set is r + (number of ids of the set below it).
    const Scratch ranks = scratch;
    draw_set(words, bound - count, exchanged, ranks, scratch + exchanged);
    std::uint32_t passed = 0;
    std::uint32_t out = 0;
    const auto keep_next = [&] {
        if (!is_removed(passed)) result[out++] = set[passed];
        ++passed;
    };
    for (std::uint32_t i = 0; i < exchanged; ++i) {
        while (passed < count && set[passed] - passed <= ranks[i]) keep_next();
        result[out++] = ranks[i] + passed;
    }
    while (passed < count) keep_next();
}

/// One id of a set to be replaced by one that is not in it.
struct Exchange {
    std::uint32_t position = 0;  ///< in the ascending set
    std::uint32_t id = 0;        ///< in its place
    std::uint32_t chance = 0;    ///< a word for whoever decides about it
};

/// Position and new id drawn uniformly; takes the words of one address.
///
/// set  [count]  ascending ids of [0, bound), count < bound
TWINSCREEN_FUNCTION inline Exchange draw_exchange(DrawAddress at, std::uint32_t bound,
                                                  const std::uint32_t* set,
                                                  std::uint32_t count) noexcept
{
    const std::array<std::uint32_t, 4> words = draw_bits(at);
    const std::uint32_t rank = below(words[1], bound - count);
    std::uint32_t passed = 0;
    for (std::uint32_t i = 0; i < count; ++i) passed += set[i] - i <= rank ? 1U : 0U;
    return {below(words[0], count), rank + passed, words[2]};
}

/// Sets of consecutive members, drawn on the host: member m's words begin at `first`, 1024 * m
/// addresses on. Several threads may call it at once.
///
/// sets  [members, set_size]
void draw_sets(DrawAddress first, std::uint32_t bound, std::uint32_t set_size,
               std::span<std::uint32_t> sets);

/// Mutants of every parent, one for each of `sizes`, drawn on the host; mutant s of parent p is
/// member p * sizes + s.
///
/// parents  [parents, set_size]
/// sizes    [sizes]                       ids exchanged
/// mutants  [parents, sizes, set_size]
void draw_mutants(DrawAddress first, std::uint32_t bound, std::uint32_t set_size,
                  std::span<const std::uint32_t> parents, std::span<const std::uint32_t> sizes,
                  std::span<std::uint32_t> mutants);

}  // namespace twinscreen
