#include <algorithm>
#include <array>
#include <cstring>
#include <set>

#include <gtest/gtest.h>

#include "experiments/relational_control/search/set_search.hpp"
#include "kernels/random.hpp"
#include "tests/unit/search_support.hpp"

namespace twinscreen {
namespace {

using searches::cost;
using searches::Ids;
using searches::small_search;
using searches::study;

/// The genetic search for sets of 10 from its description, with draws as documented and a sort of
/// the whole pool.
class NaiveSearch {
public:
    explicit NaiveSearch(const SearchSettings& settings) : settings_(settings)
    {
        for (std::uint32_t member = 0; member < settings.population; ++member)
            population_.push_back(scored(random_set(0, 0, member)));
    }

    void step(std::uint32_t generation)
    {
        std::vector<std::pair<double, Ids>> pool = population_;
        const std::array<std::uint32_t, 5> sizes{1, 1, 2, 5, 8};  // of 10: 2.5 -> 2, 7.5 -> 8
        std::uint32_t member = 0;
        for (const auto& parent : population_)
            for (const std::uint32_t size : sizes)
                pool.push_back(scored(mutant(parent.second, size, generation, member++)));
        const auto count = static_cast<std::uint32_t>(pool.size());
        for (member = 0; member < count; ++member)
            pool.push_back(scored(random_set(settings_.chain, generation, member)));
        std::stable_sort(pool.begin(), pool.end(), [&](const auto& a, const auto& b) {
            return cost(settings_.objective, a.first) < cost(settings_.objective, b.first);
        });
        pool.resize(settings_.population);
        population_ = pool;
    }

    const std::pair<double, Ids>& best() const { return population_.front(); }
    const std::vector<std::pair<double, Ids>>& population() const { return population_; }

private:
    /// Word `at` of one member.
    std::uint32_t word(DrawStream stream, std::uint32_t chain, std::uint32_t generation,
                       std::uint32_t member, std::uint32_t at) const
    {
        const std::uint64_t item = (std::uint64_t{chain} << 32U) | generation;
        return draw_bits({settings_.seed, stream, item, (member << 10U) | (at / 4)})[at % 4];
    }

    Ids random_set(std::uint32_t chain, std::uint32_t generation, std::uint32_t member) const
    {
        std::set<std::uint32_t> ids;
        for (std::uint32_t i = 0; i < 10; ++i) {
            const std::uint32_t last = 140 + i;
            const std::uint32_t bits = word(DrawStream::population, chain, generation, member, i);
            if (!ids.insert(below(bits, last + 1)).second) ids.insert(last);
        }
        return {ids.begin(), ids.end()};
    }

    Ids mutant(const Ids& parent, std::uint32_t size, std::uint32_t generation,
               std::uint32_t member) const
    {
        const auto bits = [&](std::uint32_t at) {
            return word(DrawStream::mutation, settings_.chain, generation, member, at);
        };
        std::set<std::uint32_t> positions;
        for (std::uint32_t i = 0; i < size; ++i) {
            const std::uint32_t last = 10 - size + i;
            if (!positions.insert(below(bits(i), last + 1)).second) positions.insert(last);
        }
        Ids others;
        for (std::uint32_t id = 0; id < 150; ++id)
            if (!std::ranges::binary_search(parent, id)) others.push_back(id);
        std::set<std::uint32_t> ranks;
        for (std::uint32_t i = 0; i < size; ++i) {
            const std::uint32_t last = 140 - size + i;
            if (!ranks.insert(below(bits(size + i), last + 1)).second) ranks.insert(last);
        }
        Ids ids;
        for (std::uint32_t at = 0; at < 10; ++at)
            if (!positions.contains(at)) ids.push_back(parent[at]);
        for (const std::uint32_t rank : ranks) ids.push_back(others[rank]);
        std::ranges::sort(ids);
        return ids;
    }

    static std::pair<double, Ids> scored(const Ids& ids)
    {
        std::vector<double> x;
        std::vector<double> y;
        for (std::size_t i = 1; i < ids.size(); ++i)
            for (std::size_t j = 0; j < i; ++j) {
                x.push_back(static_cast<double>(study().stored().pair(ids[i], ids[j])[0]));
                y.push_back(static_cast<double>(study().stored().pair(ids[i], ids[j])[1]));
            }
        return {patterns::naive_pearson(x, y), ids};
    }

    SearchSettings settings_;
    std::vector<std::pair<double, Ids>> population_;
};

TEST(GeneticSearch, KeepsTheSetsThatTheFormulasKeep)
{
    for (const Objective objective : {Objective::align, Objective::disentangle}) {
        const SearchSettings settings = small_search(SearchMethod::genetic, objective);
        const auto similarity = from_stored(study().stored());
        const auto search = make_search(settings, *similarity);
        NaiveSearch naive(settings);

        for (std::uint32_t generation = 1; generation <= 4; ++generation) {
            search->step();
            naive.step(generation);

            EXPECT_TRUE(std::ranges::equal(search->best_ids(), naive.best().second));
            EXPECT_NEAR(search->best_score(), naive.best().first, 1e-12);
            // The population lies in the state: ids, then scores.
            const std::vector<std::byte> state = search->save();
            std::vector<double> scores(20);
            std::memcpy(scores.data(), state.data() + state.size() - 160, 160);
            Ids ids(200);
            std::memcpy(ids.data(), state.data() + state.size() - 168 - 800, 800);
            for (std::size_t place = 0; place < 20; ++place) {
                EXPECT_NEAR(scores[place], naive.population()[place].first, 1e-12);
                EXPECT_TRUE(std::equal(naive.population()[place].second.begin(),
                                       naive.population()[place].second.end(), &ids[place * 10]));
            }
        }
    }
}

}  // namespace
}  // namespace twinscreen
