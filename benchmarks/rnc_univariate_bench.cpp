#include <thread>
#include <vector>

#include "benchmarks/bench_support.hpp"
#include "experiments/relational_control/statistics/label_tests.hpp"
#include "experiments/relational_control/univariate/univariate_null.hpp"
#include "kernels/draw_means.hpp"
#include "kernels/normal.hpp"
#include "kernels/partial_shuffle.hpp"
#include "kernels/set_draw.hpp"

namespace twinscreen {
namespace {

constexpr std::uint32_t images = 73'000;  // of the natural scenes dataset
constexpr std::uint32_t set_size = 25;
constexpr std::uint64_t seed = 20200220;
const std::vector<AreaPair> pairs{{0, 1}, {0, 2}, {0, 3}, {1, 2}, {1, 3}, {2, 3}};
const PairGroups by_distance{{0, 3, 5}, {1, 4}, {2}};

/// [images, columns] of standard normal responses.
std::vector<float> responses_of(std::size_t columns)
{
    std::vector<float> values(images * columns);
    for (std::size_t i = 0; i < values.size(); i += 4) {
        const auto z = normal_draws({seed, DrawStream::synthetic_noise, i, 0});
        for (std::size_t k = 0; k < 4; ++k) values[i + k] = z[k];
    }
    return values;
}

/// Work cut over as many threads as there are cores: part(thread, threads).
void on_all_cores(const std::function<void(std::uint32_t, std::uint32_t)>& part)
{
    const auto cores = static_cast<std::uint32_t>(bench::usable_cores());
    std::vector<std::jthread> threads;
    for (std::uint32_t core = 0; core < cores; ++core)
        threads.emplace_back([&part, core, cores] { part(core, cores); });
}

/// 28 pairs of areas and 8 subjects, 10^5 permutations each.
void permutations()
{
    constexpr std::uint32_t studies = 28 * 8;
    constexpr std::uint32_t iterations = 100'000;
    const std::vector<float> responses = responses_of(2);
    std::vector<std::uint32_t> ids(6 * set_size);  // all different: the most work
    PartialShuffle(images).draw({seed, DrawStream::null_draw, 0, 0}, ids);
    const std::span<const std::uint32_t> all(ids);
    ControlSets sets;
    for (std::size_t c = 0; c < control_conditions; ++c)
        sets.controlling[c] = all.subspan(c * set_size, set_size);
    for (std::size_t area = 0; area < 2; ++area)
        sets.baseline[area] = all.subspan((control_conditions + area) * set_size, set_size);

    const double cpu_before = bench::cpu_seconds();
    const double seconds = bench::seconds_of([&] {
        on_all_cores([&](std::uint32_t core, std::uint32_t cores) {
            for (std::uint32_t study = core; study < studies; study += cores)
                permute_images(responses, sets, {seed, study, 0, iterations});
        });
    });

    const nlohmann::ordered_json facts{{"images", images},
                                       {"pairs_times_subjects", studies},
                                       {"permutations", iterations},
                                       {"drawn_images", ids.size()},
                                       {"threads", bench::usable_cores()}};
    bench::report({"rnc_univariate",
                   "permutations",
                   "time",
                   "s",
                   {seconds, seconds, seconds},
                   bench::at_most(60.0)},
                  facts);
    const double each = (bench::cpu_seconds() - cpu_before) * 1e6 / (double{studies} * iterations);
    bench::report({"rnc_univariate",
                   "permutations",
                   "core_time_each",
                   "us",
                   {each, each, each},
                   bench::at_most(2.5)},
                  facts);
}

/// 10^6 random sets of 25 images on 8 areas of 8 subjects.
void baseline()
{
    constexpr std::uint32_t draws = 1'000'000;
    constexpr std::uint32_t columns = 64;
    constexpr std::uint32_t at_once = 500;
    const std::vector<float> table = responses_of(columns);

    const double seconds = bench::seconds_of([&] {
        on_all_cores([&](std::uint32_t core, std::uint32_t cores) {
            std::vector<std::uint32_t> scratch(2 * set_size);
            std::vector<std::uint32_t> sets(at_once * set_size);
            std::vector<double> means(at_once * columns);
            for (std::uint32_t first = core * at_once; first < draws; first += cores * at_once) {
                for (std::uint32_t draw = 0; draw < at_once; ++draw) {
                    DrawWords words({seed, DrawStream::null_draw, first + draw, 0});
                    draw_set(words, images, set_size, sets.data() + draw * set_size,
                             scratch.data());
                }
                draw_means(table, sets, set_size, columns, means);
            }
        });
    });

    bench::report({"rnc_univariate",
                   "baseline",
                   "time",
                   "s",
                   {seconds, seconds, seconds},
                   bench::at_most(10.0)},
                  {{"images", images},
                   {"columns", columns},
                   {"draws", draws},
                   {"images_per_draw", set_size},
                   {"threads", bench::usable_cores()}});
}

/// 600 controlling images of 6 pairs of 4 areas and 100 baseline images, all different.
void labels()
{
    constexpr std::uint32_t iterations = 20'000;
    constexpr std::uint32_t areas = 4;
    const std::vector<float> responses = responses_of(areas);
    std::vector<std::uint32_t> ids(28 * set_size);
    PartialShuffle(images).draw({seed, DrawStream::null_draw, 1, 0}, ids);
    LabelStudy study{responses, areas, pairs, by_distance, {}, {}};
    std::span<const std::uint32_t> rest(ids);
    const auto take = [&] {
        const auto taken = rest.first(set_size);
        rest = rest.subspan(set_size);
        return taken;
    };
    for (std::size_t pair = 0; pair < pairs.size(); ++pair)
        study.sets.push_back({take(), take(), take(), take()});
    for (std::uint32_t area = 0; area < areas; ++area) study.baselines.push_back(take());

    const nlohmann::ordered_json facts{
        {"drawn_images", ids.size()}, {"permutations", iterations}, {"threads", 1}};
    const auto report = [&](const char* name, double seconds) {
        const double each = seconds * 1e6 / iterations;
        bench::report({"rnc_univariate", name, "core_time_each", "us", {each, each, each}, {}},
                      facts);
    };
    const double before = bench::cpu_seconds();
    permute_area_labels(study, {seed, 0, 0, iterations});
    const double between = bench::cpu_seconds();
    permute_area_positions(study, {seed, 1, 0, iterations});
    report("labels_of_areas", between - before);
    report("positions_of_areas", bench::cpu_seconds() - between);
}

/// Correlations of 4 areas over all images with permuted labels.
void correlations()
{
    constexpr std::uint32_t iterations = 5'000;
    const std::vector<float> responses = responses_of(4);

    const double seconds = bench::seconds_of([&] {
        permute_correlations(responses, 4, pairs, by_distance, {seed, 0, 0, iterations});
    });

    const double each = seconds * 1e9 / (double{images} * iterations);
    bench::report(
        {"rnc_univariate", "correlations", "core_time_each_image", "ns", {each, each, each}, {}},
        {{"images", images}, {"permutations", iterations}, {"threads", 1}});
}

void run()
{
    permutations();
    baseline();
    labels();
    correlations();
}

}  // namespace
}  // namespace twinscreen

int main() { return twinscreen::bench::exit_code_of(twinscreen::run); }
