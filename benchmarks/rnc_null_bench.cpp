// A null distribution of the agreement of two areas: 10^6 random sets of 50 among 26,107 images, in
// one process and shared by two. rnc_null_bench prints one JSON object a line.

#include <algorithm>
#include <sys/wait.h>
#include <unistd.h>

#include "benchmarks/bench_support.hpp"
#include "benchmarks/rnc_study.hpp"
#include "kernels/set_draw.hpp"

namespace twinscreen {
namespace {

constexpr std::uint32_t items = 26'107;
constexpr std::uint32_t units = 200;
constexpr std::uint32_t set_size = 50;
constexpr std::uint64_t draws = 1'000'000;
constexpr int repeats = 3;

/// Draws [first, end), drawn and scored.
void draw_null(const StoredSimilarities& stored, std::uint64_t first, std::uint64_t end)
{
    const auto similarity = from_stored(stored);
    const std::uint64_t at_once = similarity->sets_at_once(set_size);
    std::vector<std::uint32_t> sets(at_once * set_size);
    std::vector<double> scores(at_once);
    for (; first < end; first += at_once) {
        const std::uint64_t count = std::min(at_once, end - first);
        for (std::uint64_t draw = 0; draw < count; ++draw)
            draw_sets({1, DrawStream::null_draw, first + draw, 0}, items, set_size,
                      std::span(sets).subspan(draw * set_size, set_size));
        similarity->score_sets(std::span(sets).first(count * set_size), set_size,
                               std::span(scores).first(count));
    }
}

void draw_in_processes(const StoredSimilarities& stored, std::uint64_t processes)
{
    for (std::uint64_t process = 0; process < processes; ++process) {
        if (fork() != 0) continue;
        draw_null(stored, draws * process / processes, draws * (process + 1) / processes);
        _exit(EXIT_SUCCESS);
    }
    for (std::uint64_t process = 0; process < processes; ++process) {
        int status = 0;
        TWINSCREEN_REQUIRE(wait(&status) > 0 && status == 0, internal, "a process failed");
    }
}

void run()
{
    const bench::MadePatterns patterns(items, units);
    const bench::MadeSimilarities similarities(patterns, bench::MadeSimilarities::Pages::huge);
    for (const std::uint64_t processes : {1U, 2U}) {
        std::vector<double> seconds;
        for (int repeat = 0; repeat < repeats; ++repeat)
            seconds.push_back(
                bench::seconds_of([&] { draw_in_processes(similarities.view(), processes); }));
        bench::report(
            {"rnc_null", "stored_huge_pages", "million_draws", "s", bench::summary_of(seconds),
             processes == 2 ? bench::at_most(60) : bench::Target{}},
            {{"images", items},
             {"set_size", set_size},
             {"processes", processes},
             {"cores", bench::usable_cores()}});
    }
}

}  // namespace
}  // namespace twinscreen

int main() { return twinscreen::bench::exit_code_of(twinscreen::run); }
