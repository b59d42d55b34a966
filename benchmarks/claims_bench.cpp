// What the service queue costs: claims per second when every rank asks without pause, and the share
// of a core that its threads use while all ranks compute. Run under mpirun; rank 0 prints.
#include <array>
#include <cstdlib>
#include <thread>
#include <vector>

#include "benchmarks/bench_support.hpp"
#include "engine/comm/communicator.hpp"
#include "engine/schedule/shard_queue.hpp"

namespace {

using namespace twinscreen;
using namespace twinscreen::bench;

constexpr std::uint64_t shard_count = 200'000;
constexpr int repeats = 5;
constexpr std::chrono::seconds idle_time{5};

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

/// Claims per second over all ranks, reports included.
double claim_rate(Communicator& communicator)
{
    const Plan plan = plan_of(shard_count);
    std::uint64_t absorbed = 0;
    QueueOptions options;
    options.absorb = [&](const ShardReport&) { ++absorbed; };
    const auto queue = make_service_queue(plan, everything(plan), communicator, options);
    communicator.barrier();
    const double seconds = seconds_of([&] {
        for (Instruction todo = queue->next(); !std::holds_alternative<Finish>(todo);
             todo = queue->next()) {
            ShardReport report;
            report.shard = std::get<RunShard>(todo).shard.id;
            queue->completed(report);
        }
        queue->drain();
    });
    return static_cast<double>(shard_count) / seconds;
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
    const double seconds = seconds_of([] { std::this_thread::sleep_for(idle_time); });
    const double share = (cpu_seconds() - before) / seconds;
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
    report({"claims", "asked_without_pause", "claims", "claims/s", summary_of(rates),
            at_least(50'000)},
           {{"ranks", communicator->size()}, {"shards", shard_count}, {"repeats", repeats}});
    const std::array names = {"server_rank", "other_ranks"};
    for (std::size_t i = 0; i < (communicator->size() > 1 ? names.size() : 1); ++i)
        report(
            {"claims", names[i], "idle_cpu_share", "cores", summary_of({shares[i]}), at_most(0.05)},
            {{"ranks", communicator->size()}, {"seconds", idle_time.count()}});
    return EXIT_SUCCESS;
}
