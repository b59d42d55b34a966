// Observed write bandwidth of a stage file (open to close, flushed to the disk) against plain
// pwrite and fsync of the same blocks by the same ranks. Run under mpirun; rank 0 prints.
//
// usage: write_bandwidth_bench [FOLDER [BLOCK_MIB [TOTAL_MIB [REPEATS]]]]
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <string>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

#include <fmt/format.h>

#include "benchmarks/bench_support.hpp"
#include "engine/store/sink.hpp"

namespace {

using namespace twinscreen;
using namespace twinscreen::bench;
namespace fs = std::filesystem;

constexpr std::int64_t row_values = 65536;  // f32: 256 KiB a row

struct Sizes {
    fs::path folder = ".";
    std::uint64_t block_bytes = std::uint64_t{4} << 20;
    std::uint64_t total_bytes = std::uint64_t{512} << 20;
    int repeats = 21;

    std::uint64_t blocks() const { return total_bytes / block_bytes; }
    std::int64_t block_rows() const
    {
        return static_cast<std::int64_t>(block_bytes / sizeof(float)) / row_values;
    }
};

/// The blocks of this rank, filled before the clock starts: both sides write ready results.
std::vector<OwnedBatch> my_blocks(const Sizes& sizes, const Communicator& communicator)
{
    std::vector<OwnedBatch> blocks;
    for (std::uint64_t block = static_cast<std::uint64_t>(communicator.rank());
         block < sizes.blocks(); block += static_cast<std::uint64_t>(communicator.size())) {
        OwnedBatch& rows =
            blocks.emplace_back(ElementType::f32, Shape{sizes.block_rows(), row_values});
        std::uint32_t state = static_cast<std::uint32_t>(block) + 1;
        for (float& value : rows.values<float>()) {
            state = state * 1664525U + 1013904223U;
            value = static_cast<float>(state >> 8);
        }
    }
    return blocks;
}

/// On a virtual machine, the first use of a page costs more than writing it to the disk, and either
/// side may meet such pages: they are used once before, in the page cache as in memory.
void touch_memory(std::uint64_t bytes)
{
    std::vector<std::byte> memory(bytes, std::byte{1});
    asm volatile("" : : "r"(memory.data()) : "memory");
}

[[noreturn]] void give_up(const char* doing)
{
    throw Error(Error::Kind::store, fmt::format("could not {} ({})", doing, std::strerror(errno)));
}

/// Seconds until the last rank has done its part.
double together_seconds(Communicator& communicator, const std::function<void()>& work)
{
    communicator.barrier();
    return seconds_of([&] {
        work();
        communicator.barrier();
    });
}

enum class Files { one, one_a_rank };

/// Seconds from nothing to data on the disk, every rank writing its blocks plainly, where they
/// belong in one file or one after the other in its own.
double plain_seconds(const Sizes& sizes, Communicator& communicator, Files files)
{
    const bool is_one = files == Files::one;
    const int owner = is_one ? 0 : communicator.rank();
    const fs::path file = sizes.folder / fmt::format("write_bandwidth-{}.bin", owner);
    const auto ranks = static_cast<std::uint64_t>(communicator.size());
    const std::vector<OwnedBatch> blocks = my_blocks(sizes, communicator);
    const double seconds = together_seconds(communicator, [&] {
        if (communicator.rank() == owner) {
            const int made = open(file.c_str(), O_RDWR | O_CREAT | O_TRUNC, 0666);
            const std::uint64_t bytes = is_one ? sizes.total_bytes : sizes.total_bytes / ranks;
            if (made < 0 || ftruncate(made, static_cast<off_t>(bytes)) != 0)
                give_up("make the plain file");
            close(made);
        }
        communicator.barrier();
        const int descriptor = open(file.c_str(), O_RDWR);
        if (descriptor < 0) give_up("open the plain file");
        auto block = is_one ? static_cast<std::uint64_t>(communicator.rank()) : 0;
        for (const OwnedBatch& rows : blocks) {
            if (pwrite(descriptor, rows.view().data, rows.bytes(),
                       static_cast<off_t>(block * sizes.block_bytes)) !=
                static_cast<ssize_t>(rows.bytes()))
                give_up("write the plain file");
            block += is_one ? ranks : 1;
        }
        if (fsync(descriptor) != 0) give_up("flush the plain file");
        close(descriptor);
    });
    if (communicator.rank() == owner) fs::remove(file);
    return seconds;
}

struct Observed {
    double seconds = 0.0;
    double disk_ratio = 0.0;  ///< bytes on disk / bytes of results
};

/// Seconds from nothing to a closed stage file on the disk, every shard checksummed and sealed.
Observed observed(const Sizes& sizes, Communicator& communicator)
{
    StoreOptions options;
    options.file = sizes.folder / "write_bandwidth.h5";
    Plan plan;
    plan.stage = "write_bandwidth";
    plan.items = sizes.blocks() * static_cast<std::uint64_t>(sizes.block_rows());
    plan.shard_items = static_cast<std::uint64_t>(sizes.block_rows());
    const std::vector<ColumnSpec> columns{
        {"response", Domain::item, ElementType::f32, {{"unit", row_values, ""}}, "", ""}};
    StageTables tables;
    tables.items = plan.items;
    std::vector<OwnedBatch> blocks = my_blocks(sizes, communicator);
    Observed result;
    result.seconds = together_seconds(communicator, [&] {
        const auto sink = open_hdf5_sink(options, plan, columns, tables, communicator);
        auto block = static_cast<std::uint64_t>(communicator.rank());
        for (OwnedBatch& rows : blocks) {
            const Shard shard = plan.shard(ShardId{block});
            sink->write(shard, ColumnId{0}, std::move(rows));
            sink->seal(shard, communicator.rank(), 0.0F, {});
            block += static_cast<std::uint64_t>(communicator.size());
        }
        sink->close();
    });
    if (communicator.rank() == 0) {
        struct stat about {};
        if (stat(options.file.c_str(), &about) != 0) give_up("examine the stage file");
        constexpr double disk_block_bytes = 512.0;  // unit of st_blocks, POSIX
        result.disk_ratio = static_cast<double>(about.st_blocks) * disk_block_bytes /
                            static_cast<double>(sizes.total_bytes);
        fs::remove(options.file);
    }
    return result;
}

Sizes sizes_from(int argc, char** argv)
{
    Sizes sizes;
    if (argc > 1) sizes.folder = argv[1];
    if (argc > 2) sizes.block_bytes = std::strtoull(argv[2], nullptr, 10) << 20;
    if (argc > 3) sizes.total_bytes = std::strtoull(argv[3], nullptr, 10) << 20;
    if (argc > 4) sizes.repeats = std::atoi(argv[4]);
    return sizes;
}

}  // namespace

int main(int argc, char** argv)
{
    const Sizes sizes = sizes_from(argc, argv);
    const auto communicator = make_mpi_communicator();
    touch_memory(8 * sizes.total_bytes);
    std::vector<double> plain;
    std::vector<double> separate;
    std::vector<double> store;
    std::vector<double> ratios;
    double disk_ratio = 0.0;
    for (int repeat = 0; repeat < sizes.repeats; ++repeat) {
        // Each side goes first as often: the disk remembers what was written before.
        const bool plain_first = repeat % 2 == 0;
        if (plain_first) plain.push_back(plain_seconds(sizes, *communicator, Files::one));
        separate.push_back(plain_seconds(sizes, *communicator, Files::one_a_rank));
        const Observed once = observed(sizes, *communicator);
        if (!plain_first) plain.push_back(plain_seconds(sizes, *communicator, Files::one));
        store.push_back(once.seconds);
        ratios.push_back(plain.back() / store.back());
        disk_ratio = std::max(disk_ratio, once.disk_ratio);
    }
    if (communicator->rank() != 0) return EXIT_SUCCESS;
    const std::string name =
        fmt::format("{}_ranks_{}_MiB_blocks", communicator->size(), sizes.block_bytes >> 20);
    const double ratio = summary_of(plain).median / summary_of(store).median;
    const Summary pairs = summary_of(ratios);
    const double gigabytes = static_cast<double>(sizes.total_bytes) * 1e-9;
    report({"write_bandwidth",
            name,
            "ratio",
            "x",
            {ratio, pairs.smallest, pairs.largest},
            at_least(0.90)},
           {{"ranks", communicator->size()},
            {"bytes", sizes.total_bytes},
            {"repeats", sizes.repeats},
            {"pair_median", pairs.median},
            {"plain_GB_per_s", gigabytes / summary_of(plain).median},
            {"store_GB_per_s", gigabytes / summary_of(store).median}});
    const double apart = summary_of(plain).median / summary_of(separate).median;
    report({"write_bandwidth", name, "file_per_rank_over_one_file", "x", summary_of({apart}), {}},
           {{"ranks", communicator->size()},
            {"file_per_rank_GB_per_s", gigabytes / summary_of(separate).median}});
    report({"write_bandwidth", name, "bytes_on_disk_over_payload", "x", summary_of({disk_ratio}),
            at_most(1.02)},
           {{"bytes", sizes.total_bytes}});
    return EXIT_SUCCESS;
}
