// Start of a run with a million shards: plan and create, and resume to the list of open shards.
// A plain process, or under mpirun; rank 0 prints.
//
// usage: startup_bench [FOLDER [SHARDS [REPEATS]]]
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "engine/store/ledger.hpp"
#include "engine/store/raw_file.hpp"
#include "engine/store/sink.hpp"
#include "engine/store/stage_layout.hpp"

namespace {

using namespace twinscreen;
namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr std::uint64_t items_per_shard = 8;

double seconds_since(Clock::time_point start)
{
    return std::chrono::duration<double>(Clock::now() - start).count();
}

struct Stage {
    StoreOptions options;
    std::uint64_t shards = 1'000'000;
    std::vector<ColumnSpec> columns{
        {"area_mean", Domain::item, ElementType::f32, {{"area", 4, ""}}, "z", "mean of an area"}};

    Plan plan() const
    {
        Plan plan;
        plan.stage = "startup";
        plan.items = shards * items_per_shard;
        plan.shard_items = items_per_shard;
        return plan;
    }

    std::unique_ptr<ResultSink> open(Communicator& communicator) const
    {
        StageTables tables;
        tables.items = shards * items_per_shard;
        tables.items_as_function = "synthetic";
        return open_hdf5_sink(options, plan(), columns, tables, communicator);
    }
};

/// Seals every second shard in the ledger itself, as a long run would have left it.
void seal_half(const Stage& stage)
{
    const StageLayout layout = *read_stage_layout(stage.options.file);
    std::vector<std::byte> ledger((stage.shards + 1) * ledger_record_bytes);
    for (std::uint64_t shard = 0; shard < stage.shards; shard += 2) {
        const LedgerBytes bytes = encode({true, 0, shard, 1, 0, 1, 0.0F, 0.0F});
        std::copy(bytes.begin(), bytes.end(),
                  ledger.begin() + static_cast<std::ptrdiff_t>(shard * ledger_record_bytes));
    }
    const RawFile file(stage.options.file, RawFile::Access::read_write);
    file.write(layout.ledger_offset, ledger);
    file.flush();
}

void print(const char* name, std::vector<double> seconds, const std::string& explanation)
{
    std::sort(seconds.begin(), seconds.end());
    const double median = seconds[seconds.size() / 2];
    fmt::print(
        "{{\"benchmark\": \"startup\", \"case\": \"{}\", \"metric\": \"time\", "
        "\"value\": {:.4g}, \"unit\": \"s\", \"target\": \"<= 2\", \"ok\": {}, "
        "\"smallest\": {:.4g}, \"largest\": {:.4g}, {}}}\n",
        name, median, median <= 2.0, seconds.front(), seconds.back(), explanation);
    std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv)
{
    const auto communicator =
        started_by_mpi_launcher() ? make_mpi_communicator() : make_local_communicator();
    Stage stage;
    stage.options.file = fs::path(argc > 1 ? argv[1] : ".") / "startup.h5";
    if (argc > 2) stage.shards = std::strtoull(argv[2], nullptr, 10);
    const int repeats = argc > 3 ? std::atoi(argv[3]) : 5;
    std::vector<double> create;
    std::vector<double> resume;
    std::size_t open_shards = 0;
    for (int repeat = 0; repeat < repeats; ++repeat) {
        if (communicator->rank() == 0) fs::remove(stage.options.file);
        communicator->barrier();
        auto start = Clock::now();
        auto sink = stage.open(*communicator);
        create.push_back(seconds_since(start));
        sink->close();
        if (communicator->rank() == 0) seal_half(stage);
        communicator->barrier();
        start = Clock::now();
        sink = stage.open(*communicator);
        open_shards = sink->state().open.size();
        resume.push_back(seconds_since(start));
        sink->close();
    }
    if (communicator->rank() != 0) return EXIT_SUCCESS;
    fs::remove(stage.options.file);
    const std::string about =
        fmt::format("\"ranks\": {}, \"shards\": {}, \"repeats\": {}, \"open_shards\": {}",
                    communicator->size(), stage.shards, repeats, open_shards);
    print("plan_and_create", create, about);
    print("resume_to_open_list", resume, about);
    return EXIT_SUCCESS;
}
