#include <map>
#include <queue>
#include <set>

#include <gtest/gtest.h>

#include "engine/config/section.hpp"

namespace twinscreen {
namespace {

TEST(NearestWord, FindsCommonTypingMistakes)
{
    const std::vector<std::string> known{"batch_rows", "shard_rows", "measures", "top_k"};

    EXPECT_EQ(nearest_word("bacth_rows", known), "batch_rows");
    EXPECT_EQ(nearest_word("shardrows", known), "shard_rows");
    EXPECT_EQ(nearest_word("meassures", known), "measures");
    EXPECT_EQ(nearest_word("topk", known), "top_k");
}

TEST(NearestWord, KeepsSilentWhereNothingIsNear)
{
    EXPECT_EQ(nearest_word("colour", {"top_k", "measures"}), std::nullopt);
    EXPECT_EQ(nearest_word("ab", {"cd"}), std::nullopt);
    EXPECT_EQ(nearest_word("anything", {}), std::nullopt);
    // Comparing these would take 80 GiB.
    EXPECT_EQ(nearest_word(std::string(100'000, 'a'), {std::string(100'001, 'a')}), std::nullopt);
    EXPECT_EQ(nearest_word(std::string(1 << 20, 'a'), {"top_k"}), std::nullopt);
}

TEST(NearestWord, AllowsOneMistakeInShortWordsAndAThirdInLongOnes)
{
    EXPECT_EQ(nearest_word("a", {"b"}), "b");
    EXPECT_EQ(nearest_word("abcdef", {"abcdXY"}), "abcdXY");
    EXPECT_EQ(nearest_word("abcdef", {"abcXYZ"}), std::nullopt);
}

TEST(NearestWord, KnowsTheOnlyWordThatBeginsWithIt)
{
    const std::vector<std::string> known{"relational_control", "control_session",
                                         "control_accuracy"};

    EXPECT_EQ(nearest_word("relational", known), "relational_control");
    EXPECT_EQ(nearest_word("control", known), std::nullopt);
    EXPECT_EQ(nearest_word("rel", known), std::nullopt);
}

TEST(NearestWord, PrefersTheFirstOfEquallyNearWords)
{
    EXPECT_EQ(nearest_word("cat", {"bat", "hat"}), "bat");
    EXPECT_EQ(nearest_word("hat", {"bat", "hat"}), "hat");
}

/// Distances from `start` by breadth-first search over single edits, in words of at most four
/// letters out of {a, b, c}: the definition of the distance, without its algorithm.
std::map<std::string, int> distances_by_search(const std::string& start)
{
    constexpr std::size_t longest = 5;
    std::map<std::string, int> distance{{start, 0}};
    std::queue<std::string> open;
    open.push(start);
    while (!open.empty()) {
        const std::string word = open.front();
        open.pop();
        std::set<std::string> next;
        for (std::size_t i = 0; i <= word.size(); ++i)
            for (const char letter : {'a', 'b', 'c'}) {
                if (word.size() < longest) next.insert(word.substr(0, i) + letter + word.substr(i));
                if (i < word.size()) next.insert(word.substr(0, i) + letter + word.substr(i + 1));
            }
        for (std::size_t i = 0; i < word.size(); ++i) {
            next.insert(word.substr(0, i) + word.substr(i + 1));
            std::string exchanged = word;
            if (i + 1 < word.size()) std::swap(exchanged[i], exchanged[i + 1]);
            next.insert(exchanged);
        }
        for (const std::string& neighbour : next)
            if (distance.emplace(neighbour, distance[word] + 1).second) open.push(neighbour);
    }
    return distance;
}

TEST(NearestWord, UsesTheDistanceThatASearchOverEditsFinds)
{
    for (const std::string start : {"ab", "abc", "cab", "aabb"}) {
        for (const auto& [word, distance] : distances_by_search(start)) {
            // The search may pass through words of five letters, so longer detours are covered.
            if (word.empty() || word.size() > 4) continue;
            const bool near = distance <= 1;
            EXPECT_EQ(nearest_word(start, {word}).has_value(), near) << start << " " << word;
        }
    }
    // Six letters allow two edits: "ca" -> "ac" -> "abc" needs the unrestricted distance.
    EXPECT_EQ(nearest_word("xyzxca", {"xyzxabc"}), "xyzxabc");
}

}  // namespace
}  // namespace twinscreen
