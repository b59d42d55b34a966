// Search for sets of 50 images on which two areas agree, one core: scoring alone and whole
// generations with 26,107 images, stored similarities against patterns, the setting of a published
// tutorial, and the trajectories of all methods. Beside it a numpy loop like the public code.
// rnc_search_bench PYTHON PEER.py SCRATCH prints one JSON object a line.

#include <cstdio>
#include <map>
#include <memory>
#include <optional>

#include "benchmarks/bench_support.hpp"
#include "benchmarks/rnc_study.hpp"
#include "experiments/relational_control/search/set_search.hpp"
#include "kernels/set_draw.hpp"

namespace twinscreen {
namespace {

using bench::MadePatterns;
using bench::MadeSimilarities;
using Facts = nlohmann::ordered_json;

constexpr std::uint32_t set_size = 50;
constexpr std::uint32_t many_items = 26'107;
constexpr std::uint32_t units = 200;
constexpr int repeats = 5;
constexpr double tutorial_reference_s = 31.0 * 60.0 + 26.0;  // published run on another machine

const std::map<SearchMethod, std::string> method_names{{SearchMethod::genetic, "genetic"},
                                                       {SearchMethod::greedy, "greedy"},
                                                       {SearchMethod::exchange, "exchange"},
                                                       {SearchMethod::annealing, "annealing"}};

std::string name_of(Objective objective)
{
    return objective == Objective::align ? "align" : "disentangle";
}

void report(const std::string& case_name, const std::string& metric, const std::string& unit,
            const std::vector<double>& values, bench::Target target, const Facts& facts)
{
    bench::report({"rnc_search", case_name, metric, unit, bench::summary_of(values), target},
                  facts);
}

/// Random sets scored a second.
std::vector<double> scoring_rates(PairSimilarity& similarity, std::size_t at_once, int count)
{
    std::vector<std::uint32_t> sets(at_once * set_size);
    std::vector<double> scores(at_once);
    std::vector<double> rates;
    for (int repeat = 0; repeat < count; ++repeat) {
        draw_sets(set_address(1, DrawStream::null_draw, 0, static_cast<std::uint32_t>(repeat), 0),
                  similarity.items(), set_size, sets);
        rates.push_back(static_cast<double>(at_once) /
                        bench::seconds_of([&] { similarity.score_sets(sets, set_size, scores); }));
    }
    return rates;
}

Facts facts_of(std::uint32_t items)
{
    return {{"images", items}, {"set_size", set_size}, {"threads", 1}};
}

void report_scoring(PairSimilarity& similarity, const std::string& case_name)
{
    for (const std::size_t at_once : {std::size_t{2'200}, similarity.sets_at_once(set_size)}) {
        Facts facts = facts_of(similarity.items());
        facts["sets_at_once"] = at_once;
        const bool is_most = at_once == similarity.sets_at_once(set_size);
        report(case_name, "scored_alone", "sets/s", scoring_rates(similarity, at_once, repeats),
               is_most ? bench::at_least(100'000) : bench::Target{}, facts);
    }
}

SearchSettings settings_of(SearchMethod method, Objective objective)
{
    SearchSettings settings;
    settings.method = method;
    settings.objective = objective;
    return settings;
}

/// Sets in the pools of whole generations, a second; parents count, as they are scored again by
/// the public code.
double generation_rate(PairSimilarity& similarity, SearchSettings settings,
                       std::uint32_t generations)
{
    settings.generations = generations;
    const auto search = make_search(settings, similarity);
    const double seconds = bench::seconds_of([&] {
        while (search->generation() < generations) search->step();
    });
    return 12.0 * settings.population * generations / seconds;
}

void report_generations(PairSimilarity& similarity, const std::string& case_name)
{
    for (const auto& [method, name] : method_names) {
        const bool is_genetic = method == SearchMethod::genetic;
        for (const Objective objective : {Objective::align, Objective::disentangle}) {
            std::vector<double> rates;
            for (int repeat = 0; repeat < 3; ++repeat)
                rates.push_back(generation_rate(similarity, settings_of(method, objective), 216));
            Facts facts = facts_of(similarity.items());
            facts["generations"] = 216;
            facts["objective"] = name_of(objective);
            report(case_name + "_" + name, "whole_generations", "sets/s", rates,
                   is_genetic ? bench::at_least(60'000) : bench::Target{}, facts);
        }
    }
}

/// Sets a second.
struct Rates {
    double scored = 0.0;
    double whole = 0.0;
};

/// What the numpy loop reaches; nothing where it does not run.
std::optional<Rates> peer_rates(const std::string& peer, std::uint32_t items,
                                std::uint32_t population)
{
    const std::string command =
        fmt::format("OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 {} --items {} --population {}", peer,
                    items, population);
    const std::unique_ptr<FILE, int (*)(FILE*)> output(popen(command.c_str(), "r"), pclose);
    Rates rates;
    if (output == nullptr || std::fscanf(output.get(), "%lf %lf", &rates.scored, &rates.whole) != 2)
        return std::nullopt;
    return rates;
}

void report_against_peer(const std::string& peer, const std::string& case_name, std::uint32_t items,
                         std::uint32_t population, Rates ours, bench::Target target)
{
    const auto theirs = peer_rates(peer, items, population);
    if (!theirs) {
        fmt::print(stderr, "warning: the numpy loop did not run ({})\n", peer);
        return;
    }
    Facts facts = facts_of(items);
    facts["numpy_scored_per_s"] = theirs->scored;
    facts["numpy_whole_generations_per_s"] = theirs->whole;
    report(case_name, "scored_alone_over_numpy", "x", {ours.scored / theirs->scored}, target,
           facts);
    report(case_name, "whole_generations_over_numpy", "x", {ours.whole / theirs->whole}, target,
           facts);
}

void many_images(const std::string& peer, const std::filesystem::path& scratch)
{
    Rates ours;
    {
        const MadePatterns patterns(many_items, units);
        const MadeSimilarities similarities(patterns, MadeSimilarities::Pages::huge);
        const auto similarity = from_stored(similarities.view());
        report_scoring(*similarity, "stored_huge_pages");
        report_generations(*similarity, "stored_huge_pages");
        ours.scored = scoring_rates(*similarity, similarity->sets_at_once(set_size), 1).front();
        ours.whole =
            generation_rate(*similarity, settings_of(SearchMethod::genetic, Objective::align), 216);
        const MadeSimilarities in_file(similarities, scratch / "similarities.bin");
        const auto from_file = from_stored(in_file.view());
        report_scoring(*from_file, "stored_mapped_file");
    }
    std::filesystem::remove(scratch / "similarities.bin");
    report_against_peer(peer, "stored_huge_pages", many_items, 200, ours, bench::at_least(100));
}

void forms()
{
    for (const std::uint32_t items : {300U, 2'000U, 5'000U, 10'000U, 20'000U, 73'000U}) {
        const MadePatterns patterns(items, units);
        Facts facts = facts_of(items);
        facts["units"] = units;
        const auto factors = from_factors(patterns.area(0), patterns.area(1));
        report("factors", "scored_alone", "sets/s", scoring_rates(*factors, 2'200, repeats), {},
               facts);
        report(
            "factors", "whole_generations", "sets/s",
            {generation_rate(*factors, settings_of(SearchMethod::genetic, Objective::align), 20)},
            {}, facts);
        if (items > 20'000) continue;
        const MadeSimilarities similarities(patterns, MadeSimilarities::Pages::huge);
        const auto stored = from_stored(similarities.view());
        report("stored", "scored_alone", "sets/s", scoring_rates(*stored, 2'200, repeats), {},
               facts);
        report(
            "stored", "whole_generations", "sets/s",
            {generation_rate(*stored, settings_of(SearchMethod::genetic, Objective::align), 216)},
            {}, facts);
    }
}

void tutorial(const std::string& peer)
{
    constexpr std::uint32_t items = 300;
    const MadePatterns patterns(items, units);
    const MadeSimilarities similarities(patterns, MadeSimilarities::Pages::huge);
    const auto similarity = from_stored(similarities.view());
    std::vector<double> seconds;
    for (int repeat = 0; repeat < repeats; ++repeat) {
        seconds.push_back(bench::seconds_of([&] {
            for (const Objective objective : {Objective::align, Objective::disentangle}) {
                SearchSettings settings = settings_of(SearchMethod::genetic, objective);
                settings.population = 100;
                settings.generations = 500;
                const auto search = make_search(settings, *similarity);
                while (search->generation() < 500) search->step();
            }
        }));
    }
    Facts facts = facts_of(items);
    facts["population"] = 100;
    facts["generations"] = 500;
    facts["published_s"] = tutorial_reference_s;
    facts["published_over_ours"] = tutorial_reference_s / bench::summary_of(seconds).median;
    report("tutorial", "both_objectives", "s", seconds, {}, facts);
    const Rates ours{bench::summary_of(scoring_rates(*similarity, 2'200, repeats)).median,
                     2.0 * 12.0 * 100.0 * 500.0 / bench::summary_of(seconds).median};
    report_against_peer(peer, "tutorial", items, 100, ours, {});
}

void trajectories()
{
    constexpr std::uint32_t items = 5'000;
    const MadePatterns patterns(items, units);
    const MadeSimilarities similarities(patterns, MadeSimilarities::Pages::huge);
    const auto similarity = from_stored(similarities.view());
    for (const auto& [method, name] : method_names) {
        for (const Objective objective : {Objective::align, Objective::disentangle}) {
            std::map<std::uint32_t, std::vector<double>> scores;
            for (std::uint64_t seed = 1; seed <= 10; ++seed) {
                SearchSettings settings = settings_of(method, objective);
                settings.seed = seed;
                settings.generations = 501;
                const auto search = make_search(settings, *similarity);
                while (search->generation() < settings.generations) {
                    const std::uint32_t generation = search->generation();
                    search->step();
                    if (generation == 0 || generation == 10 || generation == 100 ||
                        generation == 500)
                        scores[generation].push_back(search->best_score());
                }
            }
            for (const auto& [generation, values] : scores) {
                Facts facts = facts_of(items);
                facts["objective"] = name_of(objective);
                facts["seeds"] = values.size();
                report("trajectory_" + name, fmt::format("best_after_generation_{}", generation),
                       "RSA", values, {}, facts);
            }
        }
    }
}

void run(const std::string& peer, const std::filesystem::path& scratch)
{
    tutorial(peer);
    many_images(peer, scratch);
    forms();
    trajectories();
}

}  // namespace
}  // namespace twinscreen

int main(int argument_count, char** arguments)
{
    return twinscreen::bench::exit_code_of([&] {
        TWINSCREEN_REQUIRE(argument_count == 4, config, "usage: {} PYTHON PEER.py SCRATCH",
                           arguments[0]);
        twinscreen::run(fmt::format("'{}' '{}'", arguments[1], arguments[2]), arguments[3]);
    });
}
