#pragma once

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include <gtest/gtest.h>

#include "experiments/relational_control/search/device_memory.hpp"
#include "experiments/relational_control/search/device_pairs.hpp"
#include "experiments/relational_control/search/set_search.hpp"
#include "kernels/evolution.hpp"
#include "kernels/set_draw.hpp"
#include "tests/unit/search_support.hpp"

// What an executor makes of a search must be what the host makes of it, in every bit: for the
// emulated executor and for a GPU.

namespace twinscreen::searches {

/// Patterns of the study's two areas, in rows with a gap.
struct StudyRows {
    std::vector<float> first = patterns::unit_rows(study().first, 43);
    std::vector<float> second = patterns::unit_rows(study().second, 41);

    PatternRows rows_of_first() const { return {first.data(), 150, 40, 43}; }
    PatternRows rows_of_second() const { return {second.data(), 150, 40, 41}; }
};

/// Sets position by position.
inline Ids in_columns(const Ids& sets, std::size_t set_size)
{
    const std::size_t count = sets.size() / set_size;
    Ids columns(sets.size());
    for (std::size_t set = 0; set < count; ++set)
        for (std::size_t at = 0; at < set_size; ++at)
            columns[at * count + set] = sets[set * set_size + at];
    return columns;
}

template <class T>
std::vector<T> downloaded(const DeviceValues<T>& values, Executor& executor)
{
    const DeviceValues<T> pinned(executor, values.count(), ExecutorMemory::Place::pinned);
    executor.copy(pinned.first(values.count()), values.first(values.count()));
    executor.synchronize();
    return {pinned.values().begin(), pinned.values().end()};
}

inline bool have_same_bits(const std::vector<double>& a, const std::vector<double>& b)
{
    if (a.size() != b.size()) return false;
    for (std::size_t at = 0; at < a.size(); ++at) {
        if (std::isnan(a[at]) && std::isnan(b[at])) continue;
        if (std::memcmp(&a[at], &b[at], sizeof(double)) != 0) return false;
    }
    return true;
}

/// Scores of sets as the executor gives them, and its costs compared with the formula.
inline std::vector<double> scores_on(Executor& executor, DevicePairs& pairs, const Ids& sets,
                                     std::uint32_t set_size, Objective objective)
{
    const auto count = static_cast<std::int64_t>(sets.size() / set_size);
    const Ids columns = in_columns(sets, set_size);
    const auto ids = uploaded(std::span<const std::uint32_t>(columns), executor);
    const DeviceValues<double> scores(executor, count);
    const DeviceValues<double> costs(executor, count);
    pairs.score_sets({ids.data(), count, count, set_size}, objective == Objective::align,
                     {scores.data(), costs.data()});
    const std::vector<double> found = downloaded(scores, executor);
    std::vector<double> expected_costs;
    for (const double score : found)
        expected_costs.push_back(std::isnan(score) ? std::numeric_limits<double>::infinity()
                                                   : cost(objective, score));
    EXPECT_EQ(downloaded(costs, executor), expected_costs);
    return found;
}

inline void expect_same_scores(Executor& executor)
{
    std::vector<float> values = study().values;
    values[2 * (149 * 150 + 3)] = std::numeric_limits<float>::quiet_NaN();
    const StoredSimilarities stored{values.data(), 150, 2, 0, 1};
    const StudyRows rows;
    const std::vector<WeightedPatterns> first{{rows.rows_of_first(), 0.25F},
                                              {rows.rows_of_second(), 0.75F}};
    const std::vector<WeightedPatterns> second{{rows.rows_of_second(), 1.0F}};
    const auto stored_pairs = stored_on(stored, executor);
    const auto factor_pairs = factors_on(first, second, executor);

    for (const std::uint32_t size : {3U, 8U, 9U, 50U, 149U}) {
        Ids sets(std::size_t{70} * size);
        draw_sets(set_address(1, DrawStream::null_draw, 0, size, 0), 150, size, sets);
        for (const Objective objective : {Objective::align, Objective::disentangle}) {
            std::vector<double> expected(70);
            from_stored(stored)->score_sets(sets, size, expected);
            EXPECT_TRUE(
                have_same_bits(scores_on(executor, *stored_pairs, sets, size, objective), expected))
                << "stored, sets of " << size;
            from_factors(first, second)->score_sets(sets, size, expected);
            EXPECT_TRUE(
                have_same_bits(scores_on(executor, *factor_pairs, sets, size, objective), expected))
                << "factors, sets of " << size;
        }
    }
}

/// Two of three areas, the second before the first.
inline void expect_same_scores_of_some_areas(Executor& executor)
{
    const std::vector<float> values =
        patterns::stored_values({study().first, study().second, study().first});
    const StoredSimilarities stored{values.data(), 150, 3, 2, 1};
    Ids sets(std::size_t{70} * 20);
    draw_sets(set_address(1, DrawStream::null_draw, 0, 0, 0), 150, 20, sets);
    std::vector<double> expected(70);
    from_stored(stored)->score_sets(sets, 20, expected);

    const auto pairs = stored_on(stored, executor);

    EXPECT_TRUE(have_same_bits(scores_on(executor, *pairs, sets, 20, Objective::align), expected));
}

/// Sets of 50 of 100 items: Floyd's rule has much to repair.
inline void expect_same_draws(Executor& executor)
{
    constexpr std::uint32_t items = 100, size = 50, generation = 7;
    const Ids sizes{1, 5, 25, 50};
    Ids parents(std::size_t{30} * size);
    draw_sets(set_address(9, DrawStream::population, 2, generation, 0), items, size, parents);
    Ids mutants(parents.size() * sizes.size());
    draw_mutants(set_address(9, DrawStream::mutation, 2, generation, 0), items, size, parents,
                 sizes, mutants);
    const Ids parent_columns = in_columns(parents, size);
    const auto there = uploaded(std::span<const std::uint32_t>(parent_columns), executor);
    const auto sizes_there = uploaded(std::span<const std::uint32_t>(sizes), executor);
    const DeviceValues<std::uint32_t> scratch(executor, std::int64_t{3} * size * 120);

    const DeviceValues<std::uint32_t> drawn(executor, std::int64_t{30} * size);
    // Ten of generation 6, of which the first four are not asked for, then those of 7, 8 and 9.
    draw_random_sets({9, 2, items}, {generation - 1, 10, 4}, {drawn.data(), 30, 30, size},
                     scratch.data(), executor);
    const DeviceValues<std::uint32_t> mutated(executor, std::int64_t{120} * size);
    mutate({9, 2, items}, generation, {there.data(), 30, 30, size}, sizes_there.data(),
           {mutated.data(), 120, 120, size}, scratch.data(), executor);

    Ids expected(std::size_t{40} * size);
    for (std::uint32_t ahead = 0; ahead < 4; ++ahead)
        draw_sets(
            set_address(9, DrawStream::population, 2, generation - 1 + ahead, 0), items, size,
            std::span(expected).subspan(std::size_t{10} * ahead * size, std::size_t{10} * size));
    expected = Ids(expected.begin() + 4 * size, expected.begin() + 34 * size);
    EXPECT_EQ(downloaded(drawn, executor), in_columns(expected, size));
    EXPECT_EQ(downloaded(mutated, executor), in_columns(mutants, size));
}

/// One state after the other, and goes on from states of the host in the middle of a look.
inline void expect_same_search(const SearchSettings& settings, PairSimilarity& similarity,
                               DevicePairs& pairs)
{
    const auto host = make_search(settings, similarity);
    const auto search = make_search_on(settings, similarity, pairs);
    EXPECT_EQ(search->save(), host->save());
    std::vector<std::byte> half_way;
    for (std::uint32_t generation = 1; generation <= settings.generations + 2; ++generation) {
        host->step();
        search->step();
        ASSERT_EQ(search->best_score(), host->best_score()) << "generation " << generation;
        ASSERT_TRUE(std::ranges::equal(search->best_ids(), host->best_ids()));
        EXPECT_EQ(search->evaluations(), host->evaluations());
        if (generation % 7 != 3) continue;
        EXPECT_EQ(search->save(), host->save()) << "generation " << generation;
        if (half_way.empty()) half_way = host->save();
    }
    EXPECT_EQ(search->save(), host->save());

    const auto resumed = make_search_on(settings, similarity, pairs);
    resumed->step();
    resumed->load(half_way);
    EXPECT_EQ(resumed->save(), half_way);
    while (resumed->generation() < host->generation()) resumed->step();
    EXPECT_EQ(resumed->save(), host->save());
}

inline void expect_same_searches(Executor& executor)
{
    const auto stored = from_stored(study().stored());
    const auto stored_pairs = stored_on(study().stored(), executor);
    const StudyRows rows;
    const std::vector<WeightedPatterns> first{{rows.rows_of_first(), 1.0F}};
    const std::vector<WeightedPatterns> second{{rows.rows_of_second(), 1.0F}};
    const auto factors = from_factors(first, second);
    const auto factor_pairs = factors_on(first, second, executor);
    for (const Objective objective : {Objective::align, Objective::disentangle}) {
        SearchSettings settings = small_search(SearchMethod::genetic, objective);
        expect_same_search(settings, *stored, *stored_pairs);
        expect_same_search(settings, *factors, *factor_pairs);
        settings.population = 1;
        settings.stop_below = 1e-3;
        expect_same_search(settings, *stored, *stored_pairs);
    }
}

/// 12 items have 66 sets of 10: most of a pool is there several times.
inline void expect_same_survivors_among_equals(Executor& executor)
{
    const patterns::Area first = patterns::made_area(12, 40, 2, 1.0, 2, 0);
    const patterns::Area second = patterns::made_area(12, 40, 2, 1.0, 2, 1);
    const std::vector<float> values = patterns::stored_values({first, second});
    const StoredSimilarities few{values.data(), 12, 2, 0, 1};
    SearchSettings settings = small_search(SearchMethod::genetic, Objective::disentangle);
    settings.mutated_shares = {0.1, 0.2};

    expect_same_search(settings, *from_stored(few), *stored_on(few, executor));
}

/// Where the host may go on with other things, it does.
inline void expect_one_wait_for_many_generations(Executor& executor)
{
    const SearchSettings settings = small_search(SearchMethod::genetic, Objective::align);
    const auto similarity = from_stored(study().stored());
    const auto pairs = stored_on(study().stored(), executor);
    const auto search = make_search_on(settings, *similarity, *pairs);
    search->step();  // looks at all that are planned
    const std::uint64_t waits = executor.waits();

    while (search->generation() < settings.generations) search->step();

    EXPECT_EQ(executor.waits(), waits);
}

inline void expect_complaint_about_missing_scores(Executor& executor)
{
    std::vector<float> values = study().values;  // items from 40 on have no responses
    for (std::size_t item = 40; item < 150; ++item)
        for (std::size_t other = 0; other < item; ++other)
            values[2 * (item * 150 + other)] = std::numeric_limits<float>::quiet_NaN();
    const StoredSimilarities stored{values.data(), 150, 2, 0, 1};
    SearchSettings settings = small_search(SearchMethod::genetic, Objective::align);
    settings.set_size = 3;
    settings.population = 2000;
    settings.generations = 2;
    const auto complaint_of = [](SetSearch& search) -> std::string {
        try {
            search.step();
        } catch (const Error& error) {
            return error.what();
        }
        return "none";
    };
    const auto similarity = from_stored(stored);
    const auto pairs = stored_on(stored, executor);

    const std::string complaint = complaint_of(*make_search_on(settings, *similarity, *pairs));

    EXPECT_EQ(complaint.substr(0, 39), "fewer than 2000 of 24000 sets have a sc");
    EXPECT_EQ(complaint, complaint_of(*make_search(settings, *similarity)));
}

}  // namespace twinscreen::searches
