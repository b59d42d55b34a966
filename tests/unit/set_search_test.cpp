#include "experiments/relational_control/search/set_search.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <map>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/base/error.hpp"
#include "kernels/random.hpp"
#include "tests/unit/search_support.hpp"

namespace twinscreen {
namespace {

using searches::cost;
using searches::Ids;
using searches::small_search;
using searches::study;
using testing::HasSubstr;

constexpr std::array methods{SearchMethod::genetic, SearchMethod::greedy, SearchMethod::exchange,
                             SearchMethod::annealing};
constexpr std::array objectives{Objective::align, Objective::disentangle};

template <class Work>
std::string message_of(const Work& work)
{
    try {
        work();
    } catch (const Error& error) {
        return error.what();
    }
    return "no error";
}

TEST(MutationSizes, AreTheSharesOfTheSetWithTiesToEven)
{
    const SearchSettings settings;

    EXPECT_EQ(mutation_sizes(50, settings.mutated_shares), (Ids{1, 5, 12, 25, 38}));
    EXPECT_EQ(mutation_sizes(10, settings.mutated_shares), (Ids{1, 1, 2, 5, 8}));
    EXPECT_EQ(mutation_sizes(3, settings.mutated_shares), (Ids{1, 1, 1, 2, 2}));
}

TEST(SetSearch, NeverLosesItsBestAndCountsWhatItScores)
{
    for (const SearchMethod method : methods) {
        for (const Objective objective : objectives) {
            const auto similarity = from_stored(study().stored());
            const auto search = make_search(small_search(method, objective), *similarity);
            EXPECT_EQ(search->evaluations(), 20U);
            double last = cost(objective, search->best_score());
            for (std::uint32_t generation = 1; generation <= 10; ++generation) {
                search->step();

                const double now = cost(objective, search->best_score());
                EXPECT_LE(now, last);
                last = now;
                EXPECT_EQ(search->generation(), generation);
                EXPECT_EQ(search->evaluations(), 20U + 220U * generation);
                double direct = 0.0;
                similarity->score_sets(search->best_ids(), 10, {&direct, 1});
                EXPECT_EQ(search->best_score(), direct);
            }
        }
    }
}

TEST(SetSearch, BeginsWithTheSameSetsWhateverItLooksForAndInWhicheverChain)
{
    const auto similarity = from_stored(study().stored());
    for (const Objective objective : objectives) {
        std::set<Ids> best;
        for (const SearchMethod method : methods)
            for (const std::uint32_t chain : {0U, 1U, 200U}) {
                SearchSettings settings = small_search(method, objective);
                settings.chain = chain;
                const auto search = make_search(settings, *similarity);
                best.insert(Ids(search->best_ids().begin(), search->best_ids().end()));
            }

        EXPECT_EQ(best.size(), 1U);
    }
}

TEST(SetSearch, FindsPlantedItemsWithTheSamePatternsInBothAreas)
{
    for (const SearchMethod method : methods) {
        SearchSettings settings = small_search(method, Objective::align);
        settings.set_size = 20;
        settings.generations = 2000;
        const auto similarity = from_stored(study().stored());
        const auto search = make_search(settings, *similarity);

        while (search->best_score() < 1.0 - 1e-12 && search->generation() < settings.generations)
            search->step();

        EXPECT_EQ(search->best_ids().front(), 100U) << "method " << static_cast<int>(method);
        EXPECT_EQ(search->best_ids().back(), 119U);
        EXPECT_NEAR(search->best_score(), 1.0, 1e-12);
    }
}

TEST(SetSearch, BringsTheAgreementToNothing)
{
    for (const SearchMethod method : methods) {
        const auto similarity = from_stored(study().stored());
        const auto search = make_search(small_search(method, Objective::disentangle), *similarity);

        for (int generation = 0; generation < 60; ++generation) search->step();

        EXPECT_LT(std::abs(search->best_score()), 0.01);
    }
}

TEST(SetSearch, GoesOnFromASavedStateWithTheSameBits)
{
    for (const SearchMethod method : methods) {
        for (const std::uint32_t saved_after : {0U, 7U}) {
            const SearchSettings settings = small_search(method, Objective::align);
            const auto similarity = from_stored(study().stored());
            const auto whole = make_search(settings, *similarity);
            for (std::uint32_t step = 0; step < saved_after; ++step) whole->step();
            const std::vector<std::byte> state = whole->save();
            for (std::uint32_t step = saved_after; step < 20; ++step) whole->step();
            const auto other = from_stored(study().stored());
            const auto resumed = make_search(settings, *other);
            for (std::uint32_t step = 0; step < 3; ++step) resumed->step();

            resumed->load(state);
            for (std::uint32_t step = saved_after; step < 20; ++step) resumed->step();

            EXPECT_EQ(resumed->save(), whole->save());
        }
    }
}

TEST(SetSearch, OverPatternsReachesWhatOverStoredSimilaritiesItReaches)
{
    const std::vector<float> first = patterns::unit_rows(study().first, 40);
    const std::vector<float> second = patterns::unit_rows(study().second, 40);
    for (const SearchMethod method : methods) {
        const auto stored = from_stored(study().stored());
        const auto factors =
            from_factors({first.data(), 150, 40, 40}, {second.data(), 150, 40, 40});
        const auto a = make_search(small_search(method, Objective::align), *stored);
        const auto b = make_search(small_search(method, Objective::align), *factors);

        for (int generation = 0; generation < 5; ++generation) {
            a->step();
            b->step();
        }

        EXPECT_TRUE(std::ranges::equal(a->best_ids(), b->best_ids()));
        EXPECT_NEAR(a->best_score(), b->best_score(), 1e-6);
    }
}

TEST(SetSearch, RefusesTheStateOfAnotherSearch)
{
    const auto similarity = from_stored(study().stored());
    SearchSettings settings = small_search(SearchMethod::annealing, Objective::align);
    const auto search = make_search(settings, *similarity);
    const std::vector<std::byte> state = search->save();
    settings.cooling = 0.5;
    const auto other = make_search(settings, *similarity);

    EXPECT_THAT(message_of([&] { other->load(state); }), HasSubstr("other settings"));
    EXPECT_THAT(message_of([&] { search->load(std::span(state).first(state.size() - 1)); }),
                HasSubstr("ends early (1 bytes are missing)"));
    std::vector<std::byte> damaged = state;
    std::fill(damaged.end() - 48, damaged.end() - 8, std::byte{0xFF});  // ids before temperature
    EXPECT_THAT(message_of([&] { search->load(damaged); }),
                HasSubstr("a set with image 4294967295 of 150"));
    std::vector<std::byte> longer = state;
    longer.emplace_back();
    EXPECT_THAT(message_of([&] { search->load(longer); }), HasSubstr("goes on after its end"));
}

TEST(SetSearch, StopsWhenTheAgreementIsBelowWhatWasAsked)
{
    for (const SearchMethod method : methods) {
        SearchSettings settings = small_search(method, Objective::disentangle);
        settings.stop_below = 0.01;
        const auto similarity = from_stored(study().stored());
        const auto search = make_search(settings, *similarity);
        while (std::abs(search->best_score()) >= 0.01 && search->generation() < 100) search->step();
        const double score = search->best_score();
        const std::uint64_t evaluations = search->evaluations();

        search->step();

        EXPECT_EQ(search->best_score(), score);
        EXPECT_EQ(search->evaluations(), evaluations);
        EXPECT_LT(std::abs(score), 0.01);
    }
}

TEST(SetSearch, LeavesOutSetsWithoutAScore)
{
    std::vector<float> values = study().values;
    for (std::size_t item = 0; item < 150; ++item) {  // item 105 has no responses
        values[2 * (std::max(item, std::size_t{105}) * 150 + std::min(item, std::size_t{105}))] =
            std::numeric_limits<float>::quiet_NaN();
    }
    for (const SearchMethod method : methods) {
        const auto similarity = from_stored({values.data(), 150, 2, 0, 1});
        const auto search = make_search(small_search(method, Objective::align), *similarity);

        for (int generation = 0; generation < 20; ++generation) search->step();

        EXPECT_FALSE(std::isnan(search->best_score()));
        EXPECT_FALSE(std::ranges::binary_search(search->best_ids(), 105U));
    }
    const std::vector<float> nothing(values.size(), 0.5F);
    const auto similarity = from_stored({nothing.data(), 150, 2, 0, 1});
    EXPECT_THAT(message_of([&] {
                    make_search(small_search(SearchMethod::genetic, Objective::align), *similarity);
                }),
                HasSubstr("none of the first 20 sets has a score"));
}

TEST(SetSearch, SaysWhenThereAreTooFewItems)
{
    const auto similarity = from_stored(study().stored());
    const auto message = [&](SearchMethod method, std::uint32_t set_size) {
        SearchSettings settings = small_search(method, Objective::align);
        settings.set_size = set_size;
        return message_of([&] { make_search(settings, *similarity); });
    };

    EXPECT_EQ(message(SearchMethod::genetic, 151),
              "150 images are too few for sets of 151 different ones. Take smaller sets");
    EXPECT_EQ(message(SearchMethod::genetic, 150),
              "150 images leave 0 outside a set of 150, but mutants exchange up to 112. Take more "
              "images, smaller sets or smaller mutations");
    EXPECT_EQ(message(SearchMethod::greedy, 150),
              "150 images leave 0 outside a set of 150, but mutants exchange up to 1. Take more "
              "images, smaller sets or smaller mutations");
    EXPECT_THAT(message(SearchMethod::greedy, 2), HasSubstr("sets of 2 images"));
    SearchSettings settings = small_search(SearchMethod::genetic, Objective::align);
    settings.mutated_shares = std::vector<double>(32, 0.1);
    EXPECT_THAT(message_of([&] { make_search(settings, *similarity); }),
                HasSubstr("a population of 20 sets and 33 mutants of each"));
    settings.mutated_shares = {0.0};
    EXPECT_THAT(message_of([&] { make_search(settings, *similarity); }),
                HasSubstr("a mutation of 0 of a set"));
}

}  // namespace
}  // namespace twinscreen
