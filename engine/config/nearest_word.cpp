#include <algorithm>
#include <array>

#include "engine/config/limits.hpp"
#include "engine/config/section.hpp"

namespace twinscreen {

namespace {

/// Edits (insertion, deletion, substitution, exchange of neighbours) that turn a into b: the
/// unrestricted distance with the algorithm of Lowrance & Wagner (1975).
std::size_t edit_distance(std::string_view a, std::string_view b)
{
    const std::size_t width = b.size() + 2;
    const std::size_t infinite = a.size() + b.size();
    std::vector<std::size_t> cost((a.size() + 2) * width, infinite);
    const auto at = [&](std::size_t i, std::size_t j) -> std::size_t& {
        return cost[i * width + j];
    };
    for (std::size_t i = 0; i <= a.size(); ++i) at(i + 1, 1) = i;
    for (std::size_t j = 0; j <= b.size(); ++j) at(1, j + 1) = j;

    std::array<std::size_t, 256> last_row{};  // last row of a that holds this byte
    for (std::size_t i = 1; i <= a.size(); ++i) {
        std::size_t last_column = 0;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const std::size_t row = last_row[static_cast<unsigned char>(b[j - 1])];
            const std::size_t column = last_column;
            const bool same = a[i - 1] == b[j - 1];
            if (same) last_column = j;
            at(i + 1, j + 1) =
                std::min({at(i, j) + (same ? 0 : 1), at(i + 1, j) + 1, at(i, j + 1) + 1,
                          at(row, column) + (i - row - 1) + 1 + (j - column - 1)});
        }
        last_row[static_cast<unsigned char>(a[i - 1])] = i;
    }
    return at(a.size() + 1, b.size() + 1);
}

/// "relational" is short for "relational_control" if for nothing else.
std::optional<std::string> only_word_that_starts_with(std::string_view start,
                                                      const std::vector<std::string>& known)
{
    constexpr std::size_t least_letters = 4;
    if (start.size() < least_letters) return std::nullopt;
    std::optional<std::string> found;
    for (const std::string& candidate : known) {
        if (!candidate.starts_with(start)) continue;
        if (found && *found != candidate) return std::nullopt;
        found = candidate;
    }
    return found;
}

}  // namespace

std::optional<std::string> nearest_word(std::string_view word,
                                        const std::vector<std::string>& known)
{
    if (word.size() > longest_suggestion) return std::nullopt;
    const std::size_t most = std::max<std::size_t>(word.size() / 3, 1);
    std::optional<std::string> nearest;
    std::size_t smallest = most + 1;
    for (const std::string& candidate : known) {
        const std::size_t difference = word.size() > candidate.size()
                                           ? word.size() - candidate.size()
                                           : candidate.size() - word.size();
        if (difference >= smallest) continue;
        const std::size_t distance = edit_distance(word, candidate);
        if (distance >= smallest) continue;
        smallest = distance;
        nearest = candidate;
    }
    return nearest ? nearest : only_word_that_starts_with(word, known);
}

}  // namespace twinscreen
