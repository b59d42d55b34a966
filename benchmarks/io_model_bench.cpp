// What a campaign of 1,000 ranks asks of the file system, by a dry run: the production sink is
// given every shard of the plan, and each write that it makes into its store is counted and not
// carried out. The file is sparse and takes megabytes. Takes half a minute.
#include <algorithm>
#include <cstdint>
#include <string>
#include <unistd.h>
#include <utility>
#include <vector>

#include <dlfcn.h>

#include "benchmarks/bench_support.hpp"
#include "engine/store/sink.hpp"

namespace {

/// What was asked of descriptors since `counting` was set.
struct Calls {
    struct Write {
        std::uint64_t offset;
        std::uint64_t bytes;
    };
    bool counting = false;
    std::vector<Write> writes;
    std::uint64_t reads = 0;
    std::uint64_t flushes = 0;
};
Calls calls;

template <class Function>
Function* next_of(const char* name)
{
    return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

ssize_t counted_write(int file, const void* bytes, std::size_t count, off64_t offset)
{
    static auto* const real = next_of<ssize_t(int, const void*, std::size_t, off64_t)>("pwrite64");
    if (!calls.counting) return real(file, bytes, count, offset);
    calls.writes.push_back({static_cast<std::uint64_t>(offset), count});
    return static_cast<ssize_t>(count);
}

ssize_t counted_read(int file, void* bytes, std::size_t count, off64_t offset)
{
    static auto* const real = next_of<ssize_t(int, void*, std::size_t, off64_t)>("pread64");
    if (calls.counting) ++calls.reads;
    return real(file, bytes, count, offset);
}

}  // namespace

// The program's own definitions come before those of the C library, for HDF5 too.
extern "C" {
ssize_t pwrite(int file, const void* bytes, std::size_t count, off_t offset)
{
    return counted_write(file, bytes, count, offset);
}
ssize_t pwrite64(int file, const void* bytes, std::size_t count, off64_t offset)
{
    return counted_write(file, bytes, count, offset);
}
ssize_t pread(int file, void* bytes, std::size_t count, off_t offset)
{
    return counted_read(file, bytes, count, offset);
}
ssize_t pread64(int file, void* bytes, std::size_t count, off64_t offset)
{
    return counted_read(file, bytes, count, offset);
}
int fdatasync(int file)
{
    static auto* const real = next_of<int(int)>("fdatasync");
    if (calls.counting) ++calls.flushes;
    return real(file);
}
int fsync(int file)
{
    static auto* const real = next_of<int(int)>("fsync");
    if (calls.counting) ++calls.flushes;
    return real(file);
}
}

namespace {

using namespace twinscreen;
using namespace twinscreen::bench;

constexpr std::uint64_t ranks = 1000;
constexpr std::uint64_t shards_per_rank = 64;
constexpr std::uint64_t page = 4096;  // [bytes]

struct Case {
    std::string name;
    std::string measures;
    std::uint64_t shard_items;
};

std::string campaign_text(const Case& a_case)
{
    return fmt::format(
        "[[twins]]\nfamily = \"gabor_energy\"\npositions = 1\n"
        "[[stimuli]]\ncount = {}\n[stimuli.pink_noise]\n"
        "[screen]\nmeasures = {}\n[run]\nshard_items = {}\n",
        ranks * shards_per_rank * a_case.shard_items, a_case.measures, a_case.shard_items);
}

/// Every shard with rows of zeros, sealed, as a job's ranks would together.
void give_all_shards(ResultSink& sink, const StagePlan& stage)
{
    for (std::uint64_t number = 0; number < stage.plan.shards(); ++number) {
        const Shard shard = stage.plan.shard(ShardId{number});
        for (std::size_t column = 0; column < stage.columns.size(); ++column) {
            const ColumnSpec& spec = stage.columns[column];
            if (spec.domain == Domain::stage) continue;
            const std::uint64_t rows = spec.domain == Domain::item ? shard.items.count : 1;
            sink.write(
                shard, ColumnId{static_cast<std::uint32_t>(column)},
                OwnedBatch(spec.type, spec.row_shape().with_rows(static_cast<std::int64_t>(rows))));
        }
        sink.seal(shard, 0, 0.0F, [](const Sealed&) {});
    }
}

/// Stripes are what a parallel file system locks for one writer at a time.
struct Stripes {
    double shared = 0.0;   ///< share of those written to that more than one write touches
    double crossed = 0.0;  ///< share of the writes that touch more than one
};

Stripes stripes_of(std::vector<Calls::Write> writes, std::uint64_t stripe)
{
    std::ranges::sort(writes, {}, &Calls::Write::offset);
    std::uint64_t touched = 0, shared = 0, crossed = 0;
    std::uint64_t last = ~std::uint64_t{0};
    bool last_is_shared = false;
    for (const auto& [offset, bytes] : writes) {
        const std::uint64_t first = offset / stripe, end = (offset + bytes - 1) / stripe;
        if (end > first) ++crossed;
        if (first == last && !std::exchange(last_is_shared, true)) ++shared;
        touched += end - first + (first == last ? 0 : 1);
        if (end != last) last_is_shared = false;
        last = end;
    }
    if (writes.empty()) return {};
    return {static_cast<double>(shared) / static_cast<double>(touched),
            static_cast<double>(crossed) / static_cast<double>(writes.size())};
}

void report_on(const Case& a_case)
{
    Campaign campaign = campaign_of(campaign_text(a_case));
    const StagePlan stage = first_stage(campaign);
    const ScratchFolder scratch;
    StoreOptions options;
    options.file = scratch.path() / "dry.h5";
    options.numerics = "dry run";
    const auto communicator = make_local_communicator();
    const auto sink =
        open_hdf5_sink(options, stage.plan, stage.columns, stage.tables, *communicator);

    calls = Calls{};
    calls.counting = true;
    give_all_shards(*sink, stage);
    // The last seals are on their way: a checkpoint waits for them, and is counted with them.
    sink->checkpoint(1);
    calls.counting = false;

    const auto shards = static_cast<double>(stage.plan.shards());
    double bytes = 0.0;
    std::uint64_t large = 0, unaligned = 0;
    for (const auto& write : calls.writes) {
        bytes += static_cast<double>(write.bytes);
        if (write.bytes < page) continue;
        ++large;
        if (write.offset % page != 0) ++unaligned;
    }
    const double writes = static_cast<double>(calls.writes.size());
    const nlohmann::ordered_json facts = {
        {"ranks", ranks},
        {"shards", stage.plan.shards()},
        {"stimuli", stage.plan.items},
        {"flushes_of_a_checkpoint", calls.flushes},
    };
    const auto tell = [&](const char* metric, double value, const char* unit) {
        report({"io_model", a_case.name, metric, unit, {value, value, value}, {}}, facts);
    };
    tell("bytes", bytes, "B");
    tell("writes_per_shard", writes / shards, "");
    tell("reads_per_shard", static_cast<double>(calls.reads) / shards, "");
    tell("bytes_per_shard", bytes / shards, "B");
    tell("pages_begun_in_their_middle",
         large > 0 ? static_cast<double>(unaligned) / static_cast<double>(large) : 0.0,
         "of the writes of a page and more");
    for (const std::uint64_t mib : {1U, 4U}) {
        const Stripes stripes = stripes_of(calls.writes, mib << 20U);
        tell(fmt::format("stripes_shared_{}_mib", mib).c_str(), stripes.shared, "of the stripes");
        tell(fmt::format("stripes_crossed_{}_mib", mib).c_str(), stripes.crossed, "of the writes");
    }
}

}  // namespace

int main()
{
    return exit_code_of([] {
        for (const Case& a_case :
             {Case{"units_256", "[\"units\"]", 256}, Case{"units_8192", "[\"units\"]", 8192},
              Case{"area_means_256", "[\"area_mean\"]", 256}})
            report_on(a_case);
    });
}
