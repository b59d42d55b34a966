// Genetic search for sets of 50 images where a GPU works, or the way of a GPU on the processor
// where there is none: steps one by one and the default pair of chains, beside the search on one
// core. Then the similarities of all pictures, shard by shard.
//
// usage: device_search_bench [--items N] [--generations N] [--host-generations N] [--pictures N]
//                            [--units N] [--emulated] [--json FILE]

#include <fstream>
#include <map>
#include <memory>
#include <numeric>

#include "benchmarks/bench_support.hpp"
#include "benchmarks/device_figures.hpp"
#include "benchmarks/rnc_study.hpp"
#include "engine/base/memory.hpp"
#include "engine/device/gpus.hpp"
#include "engine/twin/bundle.hpp"
#include "engine/twin/torch_device.hpp"
#include "experiments/relational_control/multivariate/device_similarity.hpp"
#include "experiments/relational_control/search/device_memory.hpp"
#include "experiments/relational_control/search/device_pairs.hpp"
#include "experiments/relational_control/search/set_search.hpp"
#include "kernels/evolution.hpp"

namespace twinscreen::bench {
namespace {

constexpr std::uint32_t units = 200;
constexpr std::array objectives{Objective::align, Objective::disentangle};

struct Options {
    std::uint32_t items = 26'107;
    std::uint32_t generations = 2000;
    std::uint32_t host_generations = 100;
    std::uint32_t pictures = 73'000;  // of the similarities of all pictures
    std::uint32_t units = 1000;       // likewise
    bool emulated = false;
    std::string json;
};

Options options_of(std::span<char*> arguments)
{
    Options options;
    const std::map<std::string, std::uint32_t*> numbers{
        {"--items", &options.items},
        {"--generations", &options.generations},
        {"--host-generations", &options.host_generations},
        {"--pictures", &options.pictures},
        {"--units", &options.units}};
    for (std::size_t at = 1; at < arguments.size(); ++at) {
        const std::string name = arguments[at];
        if (name == "--emulated") {
            options.emulated = true;
            continue;
        }
        const auto number = numbers.find(name);
        TWINSCREEN_REQUIRE(
            (number != numbers.end() || name == "--json") && at + 1 < arguments.size(), config,
            "unknown or unfinished option {}", name);
        const std::string value = arguments[++at];
        if (name == "--json")
            options.json = value;
        else
            *number->second = static_cast<std::uint32_t>(std::stoul(value));
    }
    TWINSCREEN_REQUIRE(options.items >= 100 && options.generations >= 1 &&
                           options.host_generations >= 1 && options.pictures >= 100 &&
                           options.units >= 2,
                       config, "at least 100 items, 100 pictures, two units and one generation");
    return options;
}

SearchSettings settings_of(Objective objective, std::uint32_t generations)
{
    SearchSettings settings;
    settings.objective = objective;
    settings.chain = objective == Objective::align ? 0 : 1;
    settings.generations = generations;
    return settings;
}

/// Of one call, from many between two waits [us].
double microseconds_of(Executor& executor, const std::function<void(std::uint32_t)>& work)
{
    constexpr std::uint32_t warm_up = 3;
    const std::uint32_t calls = executor.space() == MemorySpace::device ? 100 : 3;
    for (std::uint32_t call = 0; call < warm_up; ++call) work(call);
    executor.synchronize();
    const double seconds = seconds_of([&] {
        for (std::uint32_t call = 0; call < calls; ++call) work(call);
        executor.synchronize();
    });
    return seconds / calls * 1e6;
}

/// The parts of a generation of the default search, each by itself.
void measure_steps(DevicePairs& pairs, std::uint32_t items, Figures& figures)
{
    Executor& executor = pairs.executor();
    const SearchSettings settings;
    const std::vector<std::uint32_t> sizes =
        mutation_sizes(settings.set_size, settings.mutated_shares);
    const std::int64_t size = settings.set_size, parents = settings.population;
    const std::int64_t mutants = parents * static_cast<std::int64_t>(sizes.size());
    const std::int64_t random = parents + mutants, many = 100 * random, drawn = 16'384;
    const DeviceValues<std::uint32_t> ids(executor, many * size);
    const DeviceValues<std::uint32_t> parent_ids(executor, parents * size);
    const DeviceValues<std::uint32_t> mutant_ids(executor, mutants * size);
    const DeviceValues<std::uint32_t> next_ids(executor, parents * size);
    const DeviceValues<std::uint32_t> scratch(executor, 2 * drawn * size);
    const DeviceValues<std::uint32_t> before(executor, rank_parts * (parents + mutants + random));
    const DeviceValues<std::uint32_t> members(executor, parents);
    const DeviceValues<double> scores(executor, many), costs(executor, many);
    const DeviceValues<double> chosen_scores(executor, parents + mutants);
    const DeviceValues<double> chosen_costs(executor, parents + mutants);
    const DeviceValues<double> told(executor, 2);
    const auto there = uploaded(std::span<const std::uint32_t>(sizes), executor);
    const ChainDraws draws{1, 0, items};
    const auto columns = [&](const DeviceValues<std::uint32_t>& sets, std::int64_t count) {
        return SetColumns{sets.data(), count, count, settings.set_size};
    };
    const SetCosts at_random{scores.data(), costs.data()};
    const SetCosts chosen{chosen_scores.data(), chosen_costs.data()};

    const double draw_us = microseconds_of(executor, [&](std::uint32_t call) {
        for (std::int64_t first = 0; first < many; first += drawn)
            draw_random_sets(draws, {call * 100, random, first},
                             columns(ids, many).part(first, std::min(drawn, many - first)),
                             scratch.data(), executor);
    });
    figures.add("random sets drawn", static_cast<double>(many) / draw_us * 1e6, "sets/s");
    const double score_us = microseconds_of(
        executor, [&](std::uint32_t) { pairs.score_sets(columns(ids, many), true, at_random); });
    figures.add("random sets scored", static_cast<double>(many) / score_us * 1e6, "sets/s");
    draw_random_sets(draws, {0, random, 0}, columns(parent_ids, parents), scratch.data(), executor);
    pairs.score_sets(columns(parent_ids, parents), true, chosen);
    figures.add("1,000 mutants drawn",
                microseconds_of(executor,
                                [&](std::uint32_t call) {
                                    mutate(draws, call, columns(parent_ids, parents), there.data(),
                                           columns(mutant_ids, mutants), scratch.data(), executor);
                                }),
                "us");
    figures.add("1,000 mutants scored",
                microseconds_of(executor,
                                [&](std::uint32_t) {
                                    pairs.score_sets(columns(mutant_ids, mutants), true,
                                                     chosen.from(parents));
                                }),
                "us");
    const Pool pool{columns(parent_ids, parents), columns(mutant_ids, mutants),
                    columns(ids, many).part(0, random), chosen, at_random};
    figures.add("200 of 2,400 selected",
                microseconds_of(executor,
                                [&](std::uint32_t) {
                                    select_survivors(
                                        pool, false, {before.data(), members.data()},
                                        {columns(next_ids, parents),
                                         {scores.data() + random, costs.data() + random},
                                         scratch.data(),
                                         told.data(),
                                         told.data() + 1},
                                        executor);
                                }),
                "us");
}

double seconds_of_search(SetSearch& search, std::uint32_t generations)
{
    return seconds_of([&] {
        while (search.generation() < generations) search.step();
    });
}

/// Sets of all pools, parents included: 2,400 a generation.
double candidates_of(std::uint32_t generations)
{
    const SearchSettings settings;
    return static_cast<double>(settings.population + sets_per_generation(settings)) * generations;
}

/// upload_s  that taking the similarities over took
void measure_searches(PairSimilarity& similarity, DevicePairs& pairs, double upload_s,
                      const Options& options, Figures& figures)
{
    double both = 0.0, host_both = 0.0;
    bool is_same = true;
    for (const Objective objective : objectives) {
        // Of as many generations as the host will have gone through.
        const SearchSettings few = settings_of(objective, options.host_generations);
        const auto host = make_search(few, similarity);
        host_both += seconds_of_search(*host, options.host_generations);
        const auto first = make_search_on(few, similarity, pairs);
        seconds_of_search(*first, options.host_generations);
        is_same = is_same && first->save() == host->save();

        const SearchSettings settings = settings_of(objective, options.generations);
        std::unique_ptr<SetSearch> search;
        const double begin_s =
            seconds_of([&] { search = make_search_on(settings, similarity, pairs); });
        const double seconds = seconds_of_search(*search, options.generations);
        const std::string name = objective == Objective::align ? "align" : "disentangle";
        figures.add(name + ": first sets and memory", begin_s, "s");
        figures.add(name + ": all generations", seconds, "s");
        figures.add(name + ": candidates", candidates_of(options.generations) / seconds, "sets/s");
        figures.add(name + ": best agreement", search->best_score(), "RSA");
        both += begin_s + seconds;
    }
    figures.add("pair of chains", both, "s");
    figures.add("pair of chains and similarities taken over", both + upload_s, "s");
    figures.add("pair of chains: candidates", 2.0 * candidates_of(options.generations) / both,
                "sets/s");
    figures.add("pair of chains on one core: candidates",
                2.0 * candidates_of(options.host_generations) / host_both, "sets/s");
    figures.add("states equal the host's", is_same, "");
    TWINSCREEN_REQUIRE(is_same, internal, "the search is not that of the host");
}

/// Every two of so many pictures in one area, shard by shard as a run computes them, without the
/// store: the strict lower triangle, brought to the host.
void measure_similarities(const Options& options, Executor& executor, Figures& figures)
{
    const MadePatterns made(options.pictures, options.units);
    Study study;
    study.areas = {"area"};
    study.populations = {{"subject", 0, 0, std::vector<std::size_t>(options.units)}};
    Patterns patterns;
    patterns.values = made.area(0).values;
    patterns.columns = options.units;
    patterns.images.resize(options.pictures);
    std::iota(patterns.images.begin(), patterns.images.end(), 0U);
    const SimilarityViews views{{{"all", {{{0, 1.0}}}}}, {0}, {0}};
    constexpr std::uint64_t shard = 256;
    const auto compute = [&](std::uint64_t first) {
        const std::uint64_t rows = std::min<std::uint64_t>(shard, options.pictures - first);
        std::vector<OwnedBatch> found;
        found.emplace_back(ElementType::f32, Shape{static_cast<std::int64_t>(rows),
                                                   std::int64_t{options.pictures}, 1});
        similarities_on(executor, study, patterns, views, {ItemId{first}, rows}, found);
    };
    fmt::print("similarities of {} pictures, patterns of {} units:\n", options.pictures,
               options.units);
    figures.add("patterns taken over, first shard", seconds_of([&] { compute(0); }), "s");
    const double seconds = seconds_of([&] {
        for (std::uint64_t first = 0; first < options.pictures; first += shard) compute(first);
    });
    const double pairs = 0.5 * double(options.pictures) * (double(options.pictures) - 1.0);
    figures.add("all shards", seconds, "s");
    figures.add("pairs", pairs / seconds, "pairs/s");
    executor.kept().reset();
}

void run(const Options& options)
{
    open_gpu_library();
    set_compute_threads(usable_cores());
    Figures figures;
    const auto executor = chosen_executor(options.emulated, figures);
    use_for_networks(*executor);
    figures.add("items", options.items, "");
    figures.add("set_size", SearchSettings{}.set_size, "");
    figures.add("generations", options.generations, "");
    figures.add("host_generations", options.host_generations, "");
    require_memory("similarities of two areas",
                   1.5 * static_cast<double>(stored_bytes(options.items, 2)));
    const MadePatterns patterns(options.items, units);
    const MadeSimilarities similarities(patterns, MadeSimilarities::Pages::huge);
    const auto similarity = from_stored(similarities.view());
    std::unique_ptr<DevicePairs> pairs;
    const double upload_s = seconds_of([&] { pairs = stored_on(similarities.view(), *executor); });
    figures.add("similarities taken over", upload_s, "s");
    figures.add("bytes of similarities", static_cast<double>(stored_bytes(options.items, 1)),
                "bytes");
    measure_steps(*pairs, options.items, figures);
    measure_searches(*similarity, *pairs, upload_s, options, figures);
    const auto factors =
        factors_on({{patterns.area(0), 1.0F}}, {{patterns.area(1), 1.0F}}, *executor);
    fmt::print("from patterns of {} units instead of stored similarities:\n", units);
    Figures of_patterns;
    measure_steps(*factors, options.items, of_patterns);
    figures.add_part("patterns_of_200_units", of_patterns);
    Figures of_pictures;
    measure_similarities(options, *executor, of_pictures);
    figures.add_part("similarities", of_pictures);
    if (!options.json.empty()) figures.write(options.json);
}

}  // namespace
}  // namespace twinscreen::bench

int main(int argument_count, char** arguments)
{
    using namespace twinscreen::bench;
    return exit_code_of([&] {
        run(options_of({arguments, static_cast<std::size_t>(argument_count)}));
    });
}
