// What the shard queue leaves of up to 16,384 ranks: its production classes under a virtual clock
// (virtual_job.hpp) with made-up costs, beside shards dealt out in advance. Efficiency is the time
// if the work could be divided at will over that until the last shard is done. Takes one core and
// about two minutes; all numbers but the CPU time of the server are the same in every run.
#include <algorithm>
#include <cmath>
#include <functional>
#include <queue>
#include <string>
#include <utility>
#include <vector>

#include "benchmarks/bench_support.hpp"
#include "benchmarks/virtual_job.hpp"
#include "engine/schedule/work_list.hpp"
#include "kernels/normal.hpp"

namespace {

using namespace twinscreen;
using namespace twinscreen::bench;
using namespace std::chrono_literals;

/// So many draws of costs and of slow ranks are tried where a job is soon simulated.
constexpr std::uint64_t most_seeds = 3;
/// Of the made-up draws: which of them an address is for.
enum Draw : std::uint32_t { draw_cost, draw_straggler, draw_slow_rank };
constexpr DrawStream stream = DrawStream::synthetic_noise;

constexpr float straggler_share = 0.01F;
constexpr double straggler_cost = 5.0;
constexpr float slow_rank_share = 0.05F;
constexpr double slow_rank_slowness = 1.3;
/// After a death: the batch system and the reading of the store.
constexpr double restart_s = 30.0;
/// From the claims per second of claims_bench (2.3 million, but up to 64 a letter: optimistic for
/// letters), and a pessimistic one.
constexpr std::chrono::nanoseconds measured_service = 430ns;
constexpr std::chrono::nanoseconds pessimistic_service = 10us;

struct Case {
    int ranks = 1;
    std::uint64_t shards_per_rank = 64;
    double variation = 0.3;  ///< of the costs: standard deviation over mean
    double shard_s = 1.0;    ///< mean cost, without the stragglers
    std::chrono::nanoseconds service = measured_service;
    bool has_stragglers = true;
    bool costs_are_known = false;
    double death_share = 0.0;  ///< of the ideal time, after which a rank dies; 0: none does

    bool is_long() const { return shard_s > 1.0; }
    std::uint64_t seeds() const { return ranks > 4096 || is_long() ? 1 : most_seeds; }
    std::string name() const;
    Target target() const;
};

std::string Case::name() const
{
    std::string name =
        fmt::format("ranks_{}_shards_{}_variation_{}", ranks, shards_per_rank, variation);
    if (service != measured_service) name += "_slow_server";
    if (!has_stragglers) name += "_no_stragglers";
    if (costs_are_known) name += "_known_costs";
    if (is_long()) name += "_long_shards";
    if (death_share > 0.0) name += "_death";
    return name;
}

Target Case::target() const
{
    if (ranks != 4096 || variation != 0.3 || is_long()) return {};
    return at_least(shards_per_rank == 256 ? 0.99 : 0.985);
}

/// [shards]  [s]  Log-normal; the stragglers are dearer.
std::vector<double> costs_of(const Case& c, std::uint64_t seed)
{
    const double variance = std::log1p(c.variation * c.variation);
    std::vector<double> costs(static_cast<std::uint64_t>(c.ranks) * c.shards_per_rank);
    for (std::uint64_t shard = 0; shard < costs.size(); ++shard) {
        const float normal = normal_draws({seed, stream, shard, draw_cost})[0];
        costs[shard] = c.shard_s *
                       std::exp(std::sqrt(variance) * static_cast<double>(normal) - variance / 2.0);
        const float uniform = unit_interval(draw_bits({seed, stream, shard, draw_straggler})[0]);
        if (c.has_stragglers && uniform < straggler_share) costs[shard] *= straggler_cost;
    }
    return costs;
}

/// [ranks]  Time of a shard over its cost.
std::vector<double> slowness_of(int ranks, std::uint64_t seed)
{
    std::vector<double> slowness(static_cast<std::size_t>(ranks), 1.0);
    for (std::size_t rank = 0; rank < slowness.size(); ++rank)
        if (unit_interval(draw_bits({seed, stream, rank, draw_slow_rank})[0]) < slow_rank_share)
            slowness[rank] = slow_rank_slowness;
    return slowness;
}

/// If the work could be divided at will.
double ideal_seconds(const std::vector<double>& costs, const std::vector<double>& slowness)
{
    double work = 0.0;
    double speed = 0.0;
    for (const double cost : costs) work += cost;
    for (const double slow : slowness) speed += 1.0 / slow;
    return work / speed;
}

Plan plan_of(const Case& c, const std::vector<double>& costs)
{
    Plan plan;
    plan.stage = "scaling";
    plan.items = costs.size();
    if (c.costs_are_known) plan.relative_cost.assign(costs.begin(), costs.end());
    return plan;
}

OpenWork everything(const Plan& plan)
{
    OpenWork work;
    for (std::uint64_t id = 0; id < plan.shards(); ++id) work.open.push_back(ShardId{id});
    return work;
}

/// Costs in the order in which the shards are handed out.
std::vector<double> ordered(const Plan& plan, const std::vector<double>& costs)
{
    const WorkList list(plan, everything(plan));
    std::vector<double> in_order;
    for (std::size_t i = 0; i < list.size(); ++i)
        in_order.push_back(costs[index_of(std::get<RunShard>(list.at(i)).shard.id)]);
    return in_order;
}

/// The rule of the static queue.
double static_seconds(const std::vector<double>& in_order, const std::vector<double>& slowness)
{
    std::vector<double> busy(slowness.size());
    for (std::size_t i = 0; i < in_order.size(); ++i)
        busy[i % busy.size()] += in_order[i] * slowness[i % busy.size()];
    return *std::max_element(busy.begin(), busy.end());
}

/// A queue that needs no letters: who is idle has the next shard at once, nobody claims ahead.
double instant_seconds(const std::vector<double>& in_order, const std::vector<double>& slowness)
{
    using Idle = std::pair<double, std::size_t>;  // since when, who
    std::priority_queue<Idle, std::vector<Idle>, std::greater<>> idle;
    for (std::size_t rank = 0; rank < slowness.size(); ++rank) idle.emplace(0.0, rank);
    double end = 0.0;
    for (const double cost : in_order) {
        Idle next = idle.top();
        idle.pop();
        next.first += cost * slowness[next.second];
        end = std::max(end, next.first);
        idle.push(next);
    }
    return end;
}

/// A case as drawn with one seed.
struct Drawn {
    std::vector<double> costs;
    Plan plan;
    JobModel model;
    double ideal_s = 0.0;
};

Drawn drawn(const Case& c, std::uint64_t seed)
{
    Drawn drawn;
    drawn.costs = costs_of(c, seed);
    drawn.plan = plan_of(c, drawn.costs);
    drawn.model.slowness = slowness_of(c.ranks, seed);
    drawn.model.letters.service = c.service;
    drawn.ideal_s = ideal_seconds(drawn.costs, drawn.model.slowness);
    return drawn;
}

nlohmann::ordered_json facts_of(const Case& c)
{
    const LetterModel letters;
    return {{"ranks", c.ranks},
            {"shards_per_rank", c.shards_per_rank},
            {"variation", c.variation},
            {"shard_s", c.shard_s},
            {"stragglers", c.has_stragglers ? straggler_share : 0.0F},
            {"costs", c.costs_are_known ? "known" : "unknown"},
            {"service_us", 1e-3 * static_cast<double>(c.service.count())},
            {"latency_us", {letters.within_node / 1us, letters.between_nodes / 1us}},
            {"ranks_per_node", letters.ranks_per_node},
            {"seeds", c.seeds()}};
}

/// What is measured with every seed.
struct Measured {
    std::vector<double> values;
    void add(double value) { values.push_back(value); }
    double median() const { return summary_of(values).median; }
};

void tell(const Case& c, const char* metric, const char* unit, const Measured& measured,
          Target target, const nlohmann::ordered_json& more = nlohmann::ordered_json::object())
{
    nlohmann::ordered_json facts = facts_of(c);
    facts.update(more);
    report({"scaling_simulation", c.name(), metric, unit, summary_of(measured.values), target},
           facts);
}

/// Two jobs: the one in which a rank dies and the one that finishes its work.
void run_death(const Case& c)
{
    Drawn job = drawn(c, 0);
    const Death death{c.ranks / 2, c.death_share * job.ideal_s};
    job.model.death = death;
    const JobOutcome first = run_virtual_job(job.model, job.plan, job.costs, everything(job.plan));
    job.model.death.reset();
    const JobOutcome second = run_virtual_job(job.model, job.plan, job.costs, first.left);
    const std::string how = fmt::format(
        "the job ends {} s after the death (modelled), another one starts {} s later and verifies "
        "what was sealed since the last checkpoint at {} of its cost",
        death.silence_s, restart_s, job.model.verify_share);
    Measured efficiency;
    efficiency.add(job.ideal_s / (first.left_s + restart_s + second.computed_s));
    tell(c, "efficiency", "", efficiency, c.target(),
         {{"model", how},
          {"ideal_s", job.ideal_s},
          {"first_job_s", first.left_s},
          {"second_job_s", second.computed_s},
          {"verified", first.left.suspect.size()},
          {"checkpoints", first.checkpoints + second.checkpoints}});
}

struct Efficiency {
    Measured queue, closed, instant, dealt_out;
};

/// One seed of a case without a death.
JobOutcome measure(const Case& c, std::uint64_t seed, Efficiency& efficiency)
{
    const Drawn job = drawn(c, seed);
    const JobOutcome done = run_virtual_job(job.model, job.plan, job.costs, everything(job.plan));
    const std::vector<double> in_order = ordered(job.plan, job.costs);
    efficiency.queue.add(job.ideal_s / done.computed_s);
    efficiency.closed.add(job.ideal_s / done.left_s);
    efficiency.instant.add(job.ideal_s / instant_seconds(in_order, job.model.slowness));
    efficiency.dealt_out.add(job.ideal_s / static_seconds(in_order, job.model.slowness));
    return done;
}

void run_case(const Case& c)
{
    if (c.death_share > 0.0) return run_death(c);
    Efficiency efficiency;
    Measured wall, waited, letters, busiest, server_share, code;
    int checkpoints = 0;
    for (std::uint64_t seed = 0; seed < c.seeds(); ++seed) {
        const JobOutcome done = measure(c, seed, efficiency);
        const auto letter_count = static_cast<double>(done.letters);
        wall.add(done.computed_s);
        waited.add(done.waited_s);
        letters.add(letter_count / done.left_s);
        busiest.add(static_cast<double>(done.busiest_second));
        server_share.add(done.server_s / done.left_s);
        code.add(1e6 * done.server_cpu_s / letter_count);
        checkpoints = done.checkpoints;
    }
    tell(c, "efficiency", "", efficiency.queue, c.target(),
         {{"with_instant_queue", efficiency.instant.median()},
          {"with_closing_checkpoint", efficiency.closed.median()},
          {"wall_s", wall.median()},
          {"checkpoints", checkpoints},
          {"waited_in_checkpoints_s", waited.median()}});
    tell(c, "static_efficiency", "", efficiency.dealt_out, {});
    tell(c, "server_letters", "letters/s", letters, {}, {{"busiest_second", busiest.median()}});
    tell(c, "server_time_share", "", server_share, {}, {{"code_us_per_letter", code.median()}});
}

std::vector<Case> cases()
{
    std::vector<Case> all;
    for (const double variation : {0.3, 1.0})
        for (const std::uint64_t shards : {64U, 256U})
            for (const int ranks : {1, 16, 256, 1024, 4096, 16384})
                all.push_back({ranks, shards, variation});
    for (const std::uint64_t shards : {64U, 256U}) {
        const Case base{4096, shards};
        for (auto change : {+[](Case& c) { c.service = pessimistic_service; },
                            +[](Case& c) { c.has_stragglers = false; },
                            +[](Case& c) { c.costs_are_known = true; }}) {
            all.push_back(base);
            change(all.back());
        }
    }
    all.push_back({16384, 64, 0.3, 1.0, pessimistic_service});
    Case lasting{4096, 256, 0.3, 10.0};
    all.push_back(lasting);
    lasting.death_share = 0.5;
    all.push_back(lasting);
    lasting.death_share = 0.0;
    lasting.costs_are_known = true;
    all.push_back(lasting);
    return all;
}

}  // namespace

int main()
{
    return exit_code_of([] {
        for (const Case& c : cases()) run_case(c);
    });
}
