#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <unordered_map>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "engine/base/stopwatch.hpp"
#include "tests/support/service_job.hpp"

namespace twinscreen {
namespace {

using test::BrokenPromise;
using test::JobBounds;
using test::JobStep;
using test::ServiceJob;

/// Tries every order in which the things of a job can happen. Every state is looked at once. All
/// steps between states are kept, so that no state can hide from which there is no end.
class Exploration {
public:
    explicit Exploration(const JobBounds& bounds) : bounds_(bounds) {}

    void run()
    {
        try {
            visit(ServiceJob(bounds_));
        } catch (const BrokenPromise& broken) {
            ADD_FAILURE() << bounds_.text() << ": " << broken.what() << "\n" << path_text();
            return;
        }
        EXPECT_EQ(states_without_end(), 0U) << bounds_.text();
    }

    std::size_t states() const { return states_.size(); }
    std::size_t steps() const { return edges_.size(); }
    std::size_t ends() const { return ends_.size(); }

private:
    /// No job here takes half as many steps.
    static constexpr std::size_t longest_path = 500;

    struct State {
        std::uint32_t number = 0;
        std::uint64_t what_follows = 0;  // the sum of the fingerprints that one step leads to
        bool done = false;
    };

    /// The number of the state.
    std::uint32_t visit(const ServiceJob& job)
    {
        const std::uint64_t fingerprint = job.fingerprint();
        const auto [found, is_new] = states_.try_emplace(fingerprint);
        // References into an unordered_map stay valid while it grows.
        State& state = found->second;
        if (!is_new) {
            if (state.done && fingerprint % 64 == 0) expect_same_future(job, state);
            return state.number;
        }
        state.number = static_cast<std::uint32_t>(states_.size() - 1);
        if (path_.size() > longest_path) throw BrokenPromise("ranks talk without end");
        bool is_end = true;
        for (const JobStep& step : job.steps()) {
            ServiceJob next = job;
            path_.push_back(step);
            if (next.take(step)) {
                is_end = false;
                state.what_follows += next.fingerprint();
                edges_.emplace_back(state.number, visit(next));
            }
            path_.pop_back();
        }
        if (is_end) {
            job.expect_good_end();
            ends_.push_back(state.number);
        }
        state.done = true;
        return state.number;
    }

    /// Two jobs with one fingerprint must go on alike, or the fingerprint forgets something.
    static void expect_same_future(const ServiceJob& job, const State& known)
    {
        std::uint64_t what_follows = 0;
        for (const JobStep& step : job.steps()) {
            ServiceJob next = job;
            if (next.take(step)) what_follows += next.fingerprint();
        }
        if (what_follows != known.what_follows)
            throw BrokenPromise("two states that look equal go on differently");
    }

    /// Walks back from the ends; what is not reached has no way to one.
    std::size_t states_without_end()
    {
        std::sort(edges_.begin(), edges_.end(),
                  [](const auto& a, const auto& b) { return a.second < b.second; });
        std::vector<bool> reaches_end(states_.size());
        std::vector<std::uint32_t> open = ends_;
        for (const std::uint32_t end : ends_) reaches_end[end] = true;
        std::size_t found = ends_.size();
        while (!open.empty()) {
            const std::uint32_t state = open.back();
            open.pop_back();
            auto edge = std::lower_bound(edges_.begin(), edges_.end(), state,
                                         [](const auto& e, auto to) { return e.second < to; });
            for (; edge != edges_.end() && edge->second == state; ++edge) {
                if (reaches_end[edge->first]) continue;
                reaches_end[edge->first] = true;
                open.push_back(edge->first);
                ++found;
            }
        }
        return states_.size() - found;
    }

    std::string path_text() const
    {
        std::string text;
        for (const JobStep& step : path_) text += "  " + step.text() + "\n";
        return text;
    }

    const JobBounds& bounds_;
    std::unordered_map<std::uint64_t, State> states_;
    std::vector<std::pair<std::uint32_t, std::uint32_t>> edges_;
    std::vector<std::uint32_t> ends_;
    std::vector<JobStep> path_;
};

/// Seconds, in every build.
const std::vector<JobBounds> small_jobs{
    {.ranks = 1, .checkpoints = 1, .signals = 1, .pauses = 1},
    {.ranks = 1, .shards = 5, .suspects = 2, .checkpoints = 2, .signals = 1},
    {.ranks = 1, .shards = 4, .checkpoints = 1, .pauses = 1, .claimed_ahead = 2},
    {.ranks = 1, .shards = 16},
    {.ranks = 2, .signals = 2},
    {.ranks = 2, .shards = 1, .checkpoints = 1},
    {.ranks = 2, .shards = 1, .signals = 2},
    {.ranks = 2, .shards = 1, .pauses = 1},
    {.ranks = 2, .shards = 2, .suspects = 2},
    {.ranks = 2, .shards = 3, .suspects = 1},
    {.ranks = 3, .shards = 1},
};

/// Minutes, and gigabytes for what was seen.
const std::vector<JobBounds> larger_jobs{
    {.ranks = 1, .shards = 6, .suspects = 2, .checkpoints = 3, .signals = 1},
    {.ranks = 1, .shards = 18, .checkpoints = 1},
    {.ranks = 2, .shards = 2, .signals = 1},
    {.ranks = 2, .shards = 1, .checkpoints = 1, .signals = 1},
    {.ranks = 2, .shards = 1, .checkpoints = 2},
    {.ranks = 2, .shards = 2, .suspects = 1, .checkpoints = 1},
    {.ranks = 2, .shards = 4, .suspects = 1},
    {.ranks = 2, .shards = 5},
    {.ranks = 2, .shards = 6},
    {.ranks = 3, .signals = 2},
    {.ranks = 3, .shards = 2, .suspects = 1},
    {.ranks = 3, .shards = 1, .signals = 1},
    {.ranks = 3, .shards = 1, .checkpoints = 1},
    {.ranks = 3, .shards = 3},
};

TEST(ServiceExplore, KeepsItsPromisesInWhateverOrderThingsHappen)
{
    std::vector<JobBounds> jobs = small_jobs;
    if (std::getenv("TWINSCREEN_EXPLORE_MORE") != nullptr)
        jobs.insert(jobs.end(), larger_jobs.begin(), larger_jobs.end());
    std::size_t states = 0;
    for (const JobBounds& bounds : jobs) {
        const Stopwatch elapsed;
        Exploration exploration(bounds);
        exploration.run();
        ASSERT_FALSE(HasFailure());
        states += exploration.states();
        fmt::print("{}: {} states, {} steps, {} ends, {:.1f} s\n", bounds.text(),
                   exploration.states(), exploration.steps(), exploration.ends(),
                   elapsed.seconds());
        std::fflush(stdout);
    }
    fmt::print("together {} states\n", states);
}

}  // namespace
}  // namespace twinscreen
