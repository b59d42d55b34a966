#include "benchmarks/bench_support.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <sched.h>

#include "engine/run/agreement.hpp"
#include "experiments/experiments.hpp"

namespace twinscreen::bench {

double seconds_of(const std::function<void()>& work)
{
    const auto start = std::chrono::steady_clock::now();
    work();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double cpu_seconds()
{
    timespec time{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

Summary summary_of(std::vector<double> values)
{
    std::sort(values.begin(), values.end());
    const std::size_t middle = values.size() / 2;
    const double median =
        values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2.0;
    return {median, values.front(), values.back()};
}

std::string Target::text() const
{
    switch (kind) {
        case Kind::none: return "";
        case Kind::at_least: return fmt::format(">= {:g}", bound);
        case Kind::at_most: return fmt::format("<= {:g}", bound);
    }
    return "";
}

bool Target::is_met(double value) const noexcept
{
    switch (kind) {
        case Kind::none: return true;
        case Kind::at_least: return value >= bound;
        case Kind::at_most: return value <= bound;
    }
    return false;
}

Target at_least(double bound) { return {Target::Kind::at_least, bound}; }
Target at_most(double bound) { return {Target::Kind::at_most, bound}; }

namespace {

/// Four digits are more than any of these measurements carries.
double rounded(double value) { return std::strtod(fmt::format("{:.4g}", value).c_str(), nullptr); }

}  // namespace

void report(const Metric& metric, const nlohmann::ordered_json& facts)
{
    nlohmann::ordered_json line{{"benchmark", metric.benchmark},
                                {"case", metric.case_name},
                                {"metric", metric.name},
                                {"value", rounded(metric.value.median)},
                                {"unit", metric.unit},
                                {"target", metric.target.text()},
                                {"ok", metric.target.is_met(metric.value.median)},
                                {"smallest", rounded(metric.value.smallest)},
                                {"largest", rounded(metric.value.largest)}};
    for (const auto& [name, value] : facts.items())
        line[name] = value.is_number_float() ? nlohmann::ordered_json(rounded(value)) : value;
    fmt::print("{}\n", line.dump());
    std::fflush(stdout);
}

ScratchFolder::ScratchFolder()
{
    const char* parent = std::getenv("TMPDIR");
    std::string name =
        std::string(parent != nullptr ? parent : "/tmp") + "/twinscreen-bench-XXXXXX";
    TWINSCREEN_REQUIRE(mkdtemp(name.data()) != nullptr, store,
                       "{}: cannot make this folder. Set TMPDIR to a folder of your own", name);
    path_ = name;
}

ScratchFolder::~ScratchFolder()
{
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
}

int exit_code_of(const std::function<void()>& work)
{
    try {
        work();
        return EXIT_SUCCESS;
    } catch (const AgreedFailure& failure) {
        if (!failure.message.empty()) fmt::print(stderr, "error: {}\n", failure.message);
        return failure.exit_code;
    } catch (const std::exception& problem) {
        fmt::print(stderr, "error: {}\n", problem.what());
        return EXIT_FAILURE;
    }
}

Campaign campaign_of(const std::string& text)
{
    return load_campaign({text, "benchmark", std::filesystem::current_path(), {}},
                         known_experiments());
}

int usable_cores()
{
    cpu_set_t allowed;
    CPU_ZERO(&allowed);
    return sched_getaffinity(0, sizeof allowed, &allowed) == 0 ? CPU_COUNT(&allowed) : 1;
}

}  // namespace twinscreen::bench
