#include "experiments/relational_control/generative/code_search.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernels/normal.hpp"

namespace twinscreen {
namespace {

using Code = std::vector<double>;
using Merit = std::function<double(std::span<const double>)>;

CodeSearchSettings small_search(CodeOptimiser optimiser, std::size_t length = 13)
{
    CodeSearchSettings settings;
    settings.optimiser = optimiser;
    settings.codes = 20;
    settings.code_length = length;
    settings.seed = 7;
    settings.chain = 3;
    return settings;
}

std::vector<Code> asked(CodeSearch& search, std::size_t length)
{
    const std::span<const double> codes = search.ask();
    std::vector<Code> rows;
    for (std::size_t at = 0; at < codes.size(); at += length)
        rows.emplace_back(codes.begin() + static_cast<std::ptrdiff_t>(at),
                          codes.begin() + static_cast<std::ptrdiff_t>(at + length));
    return rows;
}

/// Best merit after so many generations.
double best_after(CodeSearch& search, std::size_t length, const Merit& merit, int generations)
{
    double best = -std::numeric_limits<double>::infinity();
    for (int generation = 0; generation < generations; ++generation) {
        std::vector<double> merits;
        for (const Code& code : asked(search, length)) merits.push_back(merit(code));
        best = std::max(best, *std::ranges::max_element(merits));
        search.tell(merits);
    }
    return best;
}

/// Penalised until the first genes are positive, then the simpler the better.
double toy_merit(std::span<const double> code)
{
    const double control = code[0] + code[1];
    if (control < 1.0) return control - 1e10;
    return -std::abs(code[2]) - 100.0;
}

/// Word number `word` of the addresses that begin at `first`.
std::uint32_t word_of(DrawAddress first, std::size_t word)
{
    first.index += static_cast<std::uint32_t>(word / 4);
    return draw_bits(first)[word % 4];
}

double normal_of(DrawAddress first, std::size_t number)
{
    first.index += static_cast<std::uint32_t>(number / 4);
    return static_cast<double>(normal_draws(first)[number % 4]);
}

/// The published evolution by its formulas, with draws as documented.
class NaiveEvolution {
public:
    explicit NaiveEvolution(const CodeSearchSettings& settings) : settings_(settings)
    {
        for (std::uint32_t member = 0; member < settings.codes; ++member) {
            const DrawAddress at{settings.seed, DrawStream::generator_code,
                                 std::uint64_t{settings.chain} << 32U, member << 16U};
            Code code;
            for (std::size_t gene = 0; gene < settings.code_length; ++gene)
                code.push_back(normal_of(at, gene));
            population_.push_back({toy_merit(code), code});
        }
        sort();
    }

    std::vector<Code> step(std::uint32_t generation)
    {
        std::vector<Code> children;
        const std::size_t kept = settings_.codes / 4;
        for (std::uint32_t child = 0; child < settings_.codes - kept; ++child)
            children.push_back(child_of(generation, child));
        population_.resize(kept);
        for (const Code& code : children) population_.push_back({toy_merit(code), code});
        sort();
        return children;
    }

private:
    struct Member {
        double merit;
        Code code;
    };

    void sort()
    {
        std::stable_sort(population_.begin(), population_.end(),
                         [](const Member& a, const Member& b) { return a.merit > b.merit; });
    }

    std::vector<double> probabilities() const
    {
        const auto count = static_cast<double>(population_.size());
        double mean = 0.0, variance = 0.0, sum = 0.0;
        for (const Member& member : population_) mean += member.merit / count;
        for (const Member& member : population_)
            variance += (member.merit - mean) * (member.merit - mean) / count;
        std::vector<double> result;
        for (const Member& member : population_) {
            result.push_back(std::exp(0.5 * (member.merit - mean) / std::sqrt(variance)));
            sum += result.back();
        }
        for (double& value : result) value /= sum;
        return result;
    }

    static std::size_t choose(std::vector<double> probabilities, DrawAddress at, std::size_t word)
    {
        const double u = (static_cast<double>(word_of(at, word)) * 4294967296.0 +
                          static_cast<double>(word_of(at, word + 1)) + 0.5) /
                         18446744073709551616.0;
        const double sum = std::accumulate(probabilities.begin(), probabilities.end(), 0.0);
        double below = 0.0;
        for (std::size_t at_member = 0; at_member < probabilities.size(); ++at_member) {
            below += probabilities[at_member] / sum;
            if (below > u) return at_member;
        }
        return probabilities.size() - 1;
    }

    Code child_of(std::uint32_t generation, std::uint32_t child) const
    {
        const DrawAddress at{settings_.seed, DrawStream::evolution,
                             std::uint64_t{settings_.chain} << 32U | generation, child << 16U};
        std::vector<double> chances = probabilities();
        const std::size_t first = choose(chances, at, 0);
        chances[first] = 0.0;
        const std::size_t second = choose(chances, at, 2);
        const std::size_t length = settings_.code_length;
        Code code = population_[first].code;
        std::size_t left = length / 4;
        for (std::size_t gene = 0; gene < length; ++gene)
            if (below(word_of(at, 4 + gene), static_cast<std::uint32_t>(length - gene)) < left) {
                code[gene] = population_[second].code[gene];
                --left;
            }
        DrawAddress normals = at;
        normals.index += static_cast<std::uint32_t>(1 + (2 * length + 3) / 4);
        for (std::size_t gene = 0; gene < length; ++gene)
            if (unit_interval(word_of(at, 4 + length + gene)) < 0.25F)
                code[gene] += 0.75 * normal_of(normals, gene);
        return code;
    }

    CodeSearchSettings settings_;
    std::vector<Member> population_;
};

TEST(GeneticCodes, AreThoseOfThePublishedEvolution)
{
    const CodeSearchSettings settings = small_search(CodeOptimiser::genetic);
    const auto search = make_code_search(settings);
    NaiveEvolution naive(settings);
    best_after(*search, settings.code_length, toy_merit, 1);

    for (std::uint32_t generation = 1; generation <= 12; ++generation) {
        const std::vector<Code> children = asked(*search, settings.code_length);
        ASSERT_EQ(children, naive.step(generation)) << "generation " << generation;
        std::vector<double> merits;
        for (const Code& code : children) merits.push_back(toy_merit(code));
        search->tell(merits);
    }
}

TEST(GeneticCodes, AskForAllFirstAndThenForThoseThatAreReplaced)
{
    const CodeSearchSettings settings = small_search(CodeOptimiser::genetic);
    const auto search = make_code_search(settings);

    EXPECT_EQ(asked(*search, settings.code_length).size(), 20);
    search->tell(std::vector<double>(20, 1.0));
    EXPECT_EQ(asked(*search, settings.code_length).size(), 15);
}

TEST(GeneticCodes, TakeExactlyTheirShareOfGenesFromAnotherParent)
{
    CodeSearchSettings settings = small_search(CodeOptimiser::genetic, 40);
    settings.mutation_probability = 0.0;
    const auto search = make_code_search(settings);
    const std::vector<Code> parents = asked(*search, 40);
    search->tell(std::vector<double>(20, 1.0));  // equal merits: all are equally likely

    for (const Code& child : asked(*search, 40)) {
        std::vector<std::ptrdiff_t> shares;
        for (const Code& parent : parents) {
            std::ptrdiff_t same = 0;
            for (std::size_t gene = 0; gene < 40; ++gene) same += child[gene] == parent[gene];
            if (same > 0) shares.push_back(same);
        }
        EXPECT_THAT(shares, testing::UnorderedElementsAre(10, 30));
    }
}

TEST(CodeSearch, BeginsWithTheSameCodesWhateverTheOptimiser)
{
    const auto genetic = make_code_search(small_search(CodeOptimiser::genetic));
    const auto covariance = make_code_search(small_search(CodeOptimiser::cma_es));

    EXPECT_EQ(asked(*genetic, 13), asked(*covariance, 13));
}

TEST(CodeSearch, GoesOnFromASavedStateWithTheSameCodes)
{
    for (const CodeOptimiser optimiser : {CodeOptimiser::genetic, CodeOptimiser::cma_es}) {
        const CodeSearchSettings settings = small_search(optimiser);
        const auto calm = make_code_search(settings), killed = make_code_search(settings);
        const auto resumed = make_code_search(settings);
        best_after(*calm, 13, toy_merit, 9);
        best_after(*killed, 13, toy_merit, 5);
        StateWriter state;
        killed->save(state);
        StateReader reader(state.bytes());
        resumed->load(reader);
        best_after(*resumed, 13, toy_merit, 4);

        EXPECT_TRUE(reader.is_empty());
        EXPECT_EQ(asked(*calm, 13), asked(*resumed, 13));
    }
}

TEST(CovarianceSearch, FindsTheMinimumOfASphereAndOfAnEllipsoid)
{
    const Merit sphere = [](std::span<const double> x) {
        double sum = 0.0;
        for (const double value : x) sum += (value - 2.0) * (value - 2.0);
        return -sum;
    };
    const Merit rotated_ellipsoid = [](std::span<const double> x) {  // condition number 10^4
        double sum = 0.0;
        for (std::size_t i = 0; i < x.size(); i += 2) {
            const double along = x[i] + x[i + 1] - 2.0, across = x[i] - x[i + 1];
            sum += along * along + 1e4 * across * across;
        }
        return -sum;
    };
    for (const Merit& merit : {sphere, rotated_ellipsoid}) {
        const auto search = make_code_search(small_search(CodeOptimiser::cma_es, 10));

        EXPECT_GT(best_after(*search, 10, merit, 500), -1e-9);
    }
}

TEST(CovarianceSearch, AdaptsADiagonalForLongCodes)
{
    const std::size_t length = longest_full_code + 88;
    const Merit scaled = [](std::span<const double> x) {
        double sum = 0.0;
        for (std::size_t i = 0; i < x.size(); ++i) sum += (i % 2 == 0 ? 100.0 : 1.0) * x[i] * x[i];
        return -sum;
    };
    CodeSearchSettings settings = small_search(CodeOptimiser::cma_es, length);
    settings.codes = 40;
    const auto search = make_code_search(settings);
    const double first = best_after(*search, length, scaled, 1);

    EXPECT_GT(best_after(*search, length, scaled, 1000), 0.02 * first);
}

}  // namespace
}  // namespace twinscreen
