#include "kernels/set_draw.hpp"

#include "kernels/vectorise.hpp"

namespace twinscreen {
namespace {

DrawWords words_of_member(DrawAddress first, std::size_t member)
{
    first.index += static_cast<std::uint32_t>(member) << 10U;
    return DrawWords(first);
}

}  // namespace

TWINSCREEN_VECTOR_CLONES
void draw_sets(DrawAddress first, std::uint32_t bound, std::uint32_t set_size,
               std::span<std::uint32_t> sets)
{
    std::array<std::uint32_t, std::size_t{2} * largest_set> scratch;
    for (std::size_t member = 0; member < sets.size() / set_size; ++member) {
        DrawWords words = words_of_member(first, member);
        draw_set(words, bound, set_size, sets.data() + member * set_size, scratch.data());
    }
}

TWINSCREEN_VECTOR_CLONES
void draw_mutants(DrawAddress first, std::uint32_t bound, std::uint32_t set_size,
                  std::span<const std::uint32_t> parents, std::span<const std::uint32_t> sizes,
                  std::span<std::uint32_t> mutants)
{
    std::array<std::uint32_t, std::size_t{3} * largest_set> scratch;
    for (std::size_t member = 0; member < mutants.size() / set_size; ++member) {
        DrawWords words = words_of_member(first, member);
        draw_mutant(words, bound, parents.data() + member / sizes.size() * set_size, set_size,
                    sizes[member % sizes.size()], mutants.data() + member * set_size,
                    scratch.data());
    }
}

}  // namespace twinscreen
