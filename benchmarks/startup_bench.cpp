// Start of a campaign of a million shards, as the engine itself starts it: campaign file read,
// stage planned, store created (or opened and its ledger read), queue built, first shard claimed. A
// stop is asked for before, so that the run ends there; closing the store is timed with it. A plain
// process, or under mpirun; rank 0 prints.
//
// usage: startup_bench [FOLDER [SHARDS [REPEATS]]]
#include <algorithm>
#include <cstdlib>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "benchmarks/bench_support.hpp"
#include "engine/run/agreement.hpp"
#include "engine/run/runner.hpp"
#include "engine/store/ledger.hpp"
#include "engine/store/raw_file.hpp"
#include "engine/store/stage_layout.hpp"
#include "kernels/runtime.hpp"

namespace twinscreen::bench {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t items_per_shard = 64;  // a batch of the analytic twin

std::string campaign_text(std::uint64_t shards)
{
    return fmt::format(
        "[[twins]]\nfamily = \"gabor_energy\"\nsize = 16\npositions = 1\n"
        "degrees_per_pixel = 0.25\norientations = 2\nspatial_frequencies = [1.0]\n"
        "[[stimuli]]\ncount = {}\n[stimuli.white_noise]\nsize = 0.5\n"
        "[screen]\nmeasures = [\"area_mean\"]\n[run]\nshard_items = {}\n",
        shards * items_per_shard, items_per_shard);
}

/// Seconds from the campaign's text to the end of a run that stops at its first claim.
double start_and_stop(std::uint64_t shards, const fs::path& folder, Communicator& communicator)
{
    communicator.barrier();
    int exit_code = 0;
    const double seconds = seconds_of([&] {
        Campaign campaign = campaign_of(campaign_text(shards));
        std::atomic<bool> stop{true};
        exit_code = run_campaign(campaign, folder, communicator, stop).exit_code;
        communicator.barrier();
    });
    TWINSCREEN_REQUIRE(communicator.rank() != 0 || exit_code != 0, internal,
                       "the run was expected to stop before its end");
    return seconds;
}

/// Seals every second shard in the ledger itself, as a long run would have left it.
void seal_half(const fs::path& file, std::uint64_t shards)
{
    const StageLayout layout = *read_stage_layout(file);
    TWINSCREEN_REQUIRE(layout.shards == shards, internal, "planned {} shards instead of {}",
                       layout.shards, shards);
    std::vector<std::byte> ledger((shards + 1) * ledger_record_bytes);
    for (std::uint64_t shard = 0; shard < shards; shard += 2) {
        const LedgerBytes bytes = encode({true, 0, shard, 1, 0, 1, 0.0F, 0.0F});
        std::copy(bytes.begin(), bytes.end(),
                  ledger.begin() + static_cast<std::ptrdiff_t>(shard * ledger_record_bytes));
    }
    const RawFile raw(file, RawFile::Access::read_write);
    raw.write(layout.ledger_offset, ledger);
    raw.flush();
}

void run(const fs::path& parent, std::uint64_t shards, int repeats)
{
    const auto communicator =
        started_by_mpi_launcher() ? make_mpi_communicator() : make_local_communicator();
    const bool is_root = communicator->rank() == 0;
    const KernelRuntime runtime;
    spdlog::set_level(spdlog::level::warn);
    const fs::path folder = parent / "startup";
    std::vector<double> create;
    std::vector<double> resume;
    for (int repeat = 0; repeat < repeats; ++repeat) {
        if (is_root) fs::remove_all(folder);
        create.push_back(start_and_stop(shards, folder, *communicator));
        on_rank_0(*communicator, [&] { seal_half(folder / "responses.h5", shards); });
        resume.push_back(start_and_stop(shards, folder, *communicator));
    }
    if (!is_root) return;
    fs::remove_all(folder);
    const nlohmann::ordered_json facts{{"ranks", communicator->size()},
                                       {"shards", shards},
                                       {"open_shards_at_resume", shards / 2},
                                       {"repeats", repeats}};
    report({"startup", "plan_create_first_claim", "time", "s", summary_of(create), at_most(2.0)},
           facts);
    report({"startup", "resume_to_first_claim", "time", "s", summary_of(resume), at_most(2.0)},
           facts);
}

}  // namespace
}  // namespace twinscreen::bench

int main(int argc, char** argv)
{
    return twinscreen::bench::exit_code_of([&] {
        twinscreen::bench::run(argc > 1 ? argv[1] : ".",
                               argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1'000'000,
                               argc > 3 ? std::atoi(argv[3]) : 5);
    });
}
