// What the service queue costs: claims per second when every rank asks without pause, and the share
// of a core that its threads use while all ranks compute. Run under mpirun; rank 0 prints.
#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <time.h>
#include <vector>

#include <fmt/format.h>

#include "engine/comm/communicator.hpp"
#include "engine/schedule/shard_queue.hpp"

namespace {

using namespace twinscreen;
using Clock = std::chrono::steady_clock;

constexpr std::uint64_t shard_count = 200'000;
constexpr int repeats = 5;
constexpr std::chrono::seconds idle_time{5};

double seconds_since(Clock::time_point start)
{
    return std::chrono::duration<double>(Clock::now() - start).count();
}

/// CPU time of all threads of this process [s].
double cpu_seconds()
{
    timespec time{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

Plan plan_of(std::uint64_t shards)
{
    Plan plan;
    plan.stage = "claims";
    plan.items = shards;
    return plan;
}

OpenWork everything(const Plan& plan)
{
    OpenWork work;
    for (std::uint64_t id = 0; id < plan.shards(); ++id) work.open.push_back(ShardId{id});
    return work;
}

struct Measured {
    double median = 0.0;
    double smallest = 0.0;
    double largest = 0.0;
};

Measured summary_of(std::vector<double> values)
{
    std::sort(values.begin(), values.end());
    return {values[values.size() / 2], values.front(), values.back()};
}

void print(const char* name, const char* metric, const Measured& value, const char* unit,
           const char* target, bool ok, const std::string& explanation)
{
    fmt::print(
        "{{\"benchmark\": \"claims\", \"case\": \"{}\", \"metric\": \"{}\", "
        "\"value\": {:.6g}, \"unit\": \"{}\", \"target\": \"{}\", \"ok\": {}, "
        "\"smallest\": {:.6g}, \"largest\": {:.6g}, {}}}\n",
        name, metric, value.median, unit, target, ok, value.smallest, value.largest, explanation);
    std::fflush(stdout);
}

/// Claims per second over all ranks, reports included.
double claim_rate(Communicator& communicator)
{
    const Plan plan = plan_of(shard_count);
    std::uint64_t absorbed = 0;
    QueueOptions options;
    options.absorb = [&](const ShardReport&) { ++absorbed; };
    const auto queue = make_service_queue(plan, everything(plan), communicator, options);
    communicator.barrier();
    const auto start = Clock::now();
    for (Instruction todo = queue->next(); !std::holds_alternative<Finish>(todo);
         todo = queue->next()) {
        ShardReport report;
        report.shard = std::get<RunShard>(todo).shard.id;
        queue->completed(report);
    }
    queue->drain();
    return static_cast<double>(shard_count) / seconds_since(start);
}

/// CPU time over wall time of this rank while its main thread computes nothing and claims nothing.
double idle_share(Communicator& communicator)
{
    const Plan plan = plan_of(static_cast<std::uint64_t>(4 * communicator.size()));
    const auto queue = make_service_queue(plan, everything(plan), communicator, {});
    queue->next();
    communicator.barrier();
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    const double before = cpu_seconds();
    const auto start = Clock::now();
    std::this_thread::sleep_for(idle_time);
    const double share = (cpu_seconds() - before) / seconds_since(start);
    while (!std::holds_alternative<Finish>(queue->next())) continue;
    queue->drain();
    return share;
}

}  // namespace

int main()
{
    const auto communicator = make_mpi_communicator();
    const bool prints = communicator->rank() == 0;
    std::vector<double> rates;
    for (int repeat = 0; repeat < repeats; ++repeat) rates.push_back(claim_rate(*communicator));
    std::array<double, 2> shares{};
    shares[prints ? 0 : 1] = idle_share(*communicator);
    communicator->all_reduce(shares, Reduction::max);
    if (!prints) return EXIT_SUCCESS;
    const Measured rate = summary_of(rates);
    print("asked_without_pause", "claims", rate, "claims/s", ">= 50000", rate.median >= 50'000,
          fmt::format("\"ranks\": {}, \"shards\": {}, \"repeats\": {}", communicator->size(),
                      shard_count, repeats));
    const std::array names = {"server_rank", "other_ranks"};
    for (std::size_t i = 0; i < (communicator->size() > 1 ? names.size() : 1); ++i)
        print(
            names[i], "idle_cpu_share", {shares[i], shares[i], shares[i]}, "cores", "<= 0.05",
            shares[i] <= 0.05,
            fmt::format("\"ranks\": {}, \"seconds\": {}", communicator->size(), idle_time.count()));
    return EXIT_SUCCESS;
}
