// How much of what the cores could do a whole run reaches. Each stage of the pipeline is timed
// alone in one thread, then all in turn (serial), then as the engine runs them (overlapped).
//
// usage: end_to_end_bench BUNDLES DATA [CASE...]
#include <algorithm>
#include <atomic>
#include <cstring>
#include <fstream>
#include <future>
#include <thread>

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <turbojpeg.h>

#include "benchmarks/bench_support.hpp"
#include "engine/config/toml_text.hpp"
#include "engine/run/runner.hpp"
#include "engine/stimulus/stimuli.hpp"
#include "engine/twin/bundle.hpp"
#include "kernels/runtime.hpp"

namespace twinscreen::bench {
namespace {

namespace fs = std::filesystem;

constexpr int repeats = 5;

struct Case {
    std::string name;
    std::string campaign;
};

InputBatch copy_of(const InputBatch& batch)
{
    const auto copied = [](const OwnedBatch& from) {
        OwnedBatch to(from.type(), from.shape());
        std::memcpy(to.view().data, from.view().data, from.bytes());
        return to;
    };
    InputBatch result{batch.items, {}, {}, batch.luminance, batch.valid};
    for (const OwnedBatch& canvas : batch.canvases) result.canvases.push_back(copied(canvas));
    for (const OwnedBatch& values : batch.covariates) result.covariates.push_back(copied(values));
    return result;
}

using Rows = std::vector<std::pair<ColumnId, OwnedBatch>>;

Rows copy_of(const Rows& rows)
{
    Rows result;
    for (const auto& [column, from] : rows) {
        result.emplace_back(column, OwnedBatch(from.type(), from.shape()));
        std::memcpy(result.back().second.view().data, from.view().data, from.bytes());
    }
    return result;
}

/// Gives out the same few batches again and again, so that nothing waits for a reader.
class ReplayStream final : public InputStream {
public:
    ReplayStream(std::vector<InputBatch>& batches, const Plan& plan)
        : batches_(batches), plan_(plan)
    {
    }
    void start(ItemRange items) { left_ = items; }
    const InputBatch* next() override
    {
        if (left_.count == 0) return nullptr;
        InputBatch& batch = batches_[turn_++ % batches_.size()];
        batch.items = {left_.first, std::min<std::uint64_t>(plan_.batch_items, left_.count)};
        left_ = {left_.first + batch.items.count, left_.count - batch.items.count};
        return &batch;
    }
    double fill_s() const noexcept override { return 0.0; }
    double wait_s() const noexcept override { return 0.0; }

private:
    std::vector<InputBatch>& batches_;
    const Plan& plan_;
    ItemRange left_;
    std::size_t turn_ = 0;
};

/// Reads a batch only when it is asked for: reading and computing take turns.
class SerialStream final : public InputStream {
public:
    SerialStream(InputReader& reader, const Plan& plan) : reader_(reader), plan_(plan) {}
    void start(ItemRange items) { left_ = items; }
    const InputBatch* next() override
    {
        if (left_.count == 0) return nullptr;
        const Shard part{ShardId{turn_++},
                         {left_.first, std::min<std::uint64_t>(plan_.batch_items, left_.count)}};
        left_ = {left_.first + part.items.count, left_.count - part.items.count};
        reader_.announce(part, part.items);
        return reader_.open(part).next();
    }
    double fill_s() const noexcept override { return 0.0; }
    double wait_s() const noexcept override { return 0.0; }

private:
    InputReader& reader_;
    const Plan& plan_;
    ItemRange left_;
    std::uint64_t turn_ = 0;
};

/// One campaign of one stage, taken apart.
class Pipeline {
public:
    Pipeline(const Case& what, const fs::path& folder)
        : case_(what), folder_(folder), campaign_(campaign_of(what.campaign))
    {
        stage_ = first_stage(campaign_);
        prepare();
    }

    const Plan& plan() const noexcept { return stage_.plan; }

    /// One reader thread fills every batch of the run; nobody looks at them.
    void feed()
    {
        const auto reader = make_reader(1, 1);
        for (std::uint64_t id = 0; id < plan().shards(); ++id) {
            const Shard shard = plan().shard(ShardId{id});
            reader->announce(shard, shard.items);
        }
        for (std::uint64_t id = 0; id < plan().shards(); ++id) {
            InputStream& stream = reader->open(plan().shard(ShardId{id}));
            while (stream.next() != nullptr) continue;
        }
    }

    /// Networks and measures over batches that are in memory already; results are thrown away.
    void compute()
    {
        ReplayStream stream(batches_, plan());
        const auto ignore = [](ColumnId, OwnedBatch) {};
        ShardTools tools{stream,         *stage_.forward, ignore,  *executor_,
                         campaign_.seed, [] {},           scratch_};
        for (std::uint64_t id = 0; id < plan().shards(); ++id) {
            const Shard shard = plan().shard(ShardId{id});
            stream.start(shard.items);
            campaign_.experiment->run_shard(shard, tools);
        }
    }

    /// Seconds of `compute` while another thread reads without end, for nobody: what cores that
    /// share a clock, a cache or a physical core cost, however well the engine overlaps.
    double compute_beside_feed()
    {
        std::atomic<bool> done{false};
        std::jthread other([&] {
            const auto reader = make_reader(1, 1);
            SerialStream stream(*reader, plan());
            while (!done) {
                stream.start({ItemId{0}, plan().items});
                while (!done && stream.next() != nullptr) continue;
            }
        });
        const double seconds = seconds_of([&] { compute(); });
        done = true;
        return seconds;
    }

    /// Ready results into a new store, open to close. `rows` as `ready_rows` gives them.
    void write(std::vector<Rows> rows)
    {
        const auto sink = make_sink("write");
        for (std::uint64_t id = 0; id < plan().shards(); ++id) {
            const Shard shard = plan().shard(ShardId{id});
            for (auto& [column, values] : rows[id]) sink->write(shard, column, std::move(values));
            sink->seal(shard, 0, 0.0F, {});
        }
        sink->checkpoint(1);
        sink->close();
    }

    std::vector<Rows> ready_rows() const
    {
        std::vector<Rows> result;
        for (std::uint64_t id = 0; id < plan().shards(); ++id)
            result.push_back(copy_of(id + 1 < plan().shards() ? first_rows_ : last_rows_));
        return result;
    }

    /// Read, forward, write in turn; never two at once.
    void serial()
    {
        const auto reader = make_reader(1, 1);
        const auto sink = make_sink("serial");
        SerialStream stream(*reader, plan());
        for (std::uint64_t id = 0; id < plan().shards(); ++id) {
            const Shard shard = plan().shard(ShardId{id});
            Rows rows;
            const auto keep = [&](ColumnId column, OwnedBatch values) {
                rows.emplace_back(column, std::move(values));
            };
            ShardTools tools{stream,         *stage_.forward, keep,    *executor_,
                             campaign_.seed, [] {},           scratch_};
            stream.start(shard.items);
            campaign_.experiment->run_shard(shard, tools);
            std::promise<void> sealed;
            for (auto& [column, values] : rows) sink->write(shard, column, std::move(values));
            sink->seal(shard, 0, 0.0F, [&](const Sealed&) { sealed.set_value(); });
            sealed.get_future().wait();
        }
        sink->checkpoint(1);
        sink->close();
    }

    /// The engine's own run, start to end; only the campaign file is read before.
    double overlapped()
    {
        Campaign campaign = campaign_of(case_.campaign);
        const auto communicator = make_local_communicator();
        std::atomic<bool> stop{false};
        const fs::path folder = folder_ / "overlapped";
        const double seconds =
            seconds_of([&] { run_campaign(campaign, folder, *communicator, stop); });
        fs::remove_all(folder);
        return seconds;
    }

private:
    std::unique_ptr<InputReader> make_reader(int threads, int depth) const
    {
        ReaderSettings settings;
        settings.batch_items = plan().batch_items;
        settings.threads = threads;
        settings.depth = depth;
        return make_input_reader(*campaign_.stimuli, stage_.forward->canvases(),
                                 stage_.forward->bindings(), settings);
    }

    std::unique_ptr<ResultSink> make_sink(const std::string& name)
    {
        StoreOptions options;
        options.file = folder_ / (name + ".h5");
        fs::remove(options.file);
        return open_hdf5_sink(options, plan(), stage_.columns, stage_.tables, *communicator_);
    }

    /// Batches for `compute` and results for `write`, from the first shard and the last.
    void prepare()
    {
        constexpr std::size_t replayed = 6;
        const auto reader = make_reader(1, 1);
        SerialStream stream(*reader, plan());
        stream.start({ItemId{0}, plan().items});
        while (batches_.size() < replayed) {
            const InputBatch* batch = stream.next();
            if (batch == nullptr) break;
            batches_.push_back(copy_of(*batch));
        }
        ReplayStream replay(batches_, plan());
        for (Rows* rows : {&first_rows_, &last_rows_}) {
            const Shard shard =
                plan().shard(ShardId{rows == &first_rows_ ? 0 : plan().shards() - 1});
            const auto keep = [&](ColumnId column, OwnedBatch values) {
                rows->emplace_back(column, std::move(values));
            };
            ShardTools tools{replay,         *stage_.forward, keep,    *executor_,
                             campaign_.seed, [] {},           scratch_};
            replay.start(shard.items);
            campaign_.experiment->run_shard(shard, tools);
        }
    }

    Case case_;
    fs::path folder_;
    std::unique_ptr<Executor> executor_ = make_host_executor();
    Campaign campaign_;
    StagePlan stage_;
    StageScratch stage_scratch_{folder_ / "scratch", "bench"};
    ShardScratch scratch_{stage_scratch_, ShardId{0}};
    std::unique_ptr<Communicator> communicator_ = make_local_communicator();
    std::vector<InputBatch> batches_;
    Rows first_rows_;  // results of a whole shard
    Rows last_rows_;   // and of the last, which may be shorter
};

/// Times of one repeat [s for the whole run].
struct Times {
    double feed, compute, write;  ///< in one thread each, alone
    double beside;                ///< compute while an unconnected reader keeps another core busy
    double serial, overlapped;
    double alone_cpu, overlapped_cpu;  ///< CPU time of feed + compute + write, and of the whole run

    /// What a perfect overlap of one computing thread, one writer and the readers would take: the
    /// slowest stage, or all work spread evenly over all cores.
    double bound(int cores) const { return std::max({compute, write, alone_cpu / cores}); }
};

Times measure(Pipeline& pipeline)
{
    Times times{};
    std::vector<Rows> rows = pipeline.ready_rows();
    double cpu = cpu_seconds();
    times.feed = seconds_of([&] { pipeline.feed(); });
    times.compute = seconds_of([&] { pipeline.compute(); });
    times.write = seconds_of([&] { pipeline.write(std::move(rows)); });
    times.alone_cpu = cpu_seconds() - cpu;
    times.beside = pipeline.compute_beside_feed();
    times.serial = seconds_of([&] { pipeline.serial(); });
    cpu = cpu_seconds();
    times.overlapped = pipeline.overlapped();
    times.overlapped_cpu = cpu_seconds() - cpu;
    return times;
}

template <class F>
Summary over(const std::vector<Times>& all, F&& value)
{
    std::vector<double> values;
    for (const Times& times : all) values.push_back(value(times));
    return summary_of(std::move(values));
}

void run_case(const Case& what)
{
    const ScratchFolder scratch;
    Pipeline pipeline(what, scratch.path());
    const int cores = usable_cores();
    std::vector<Times> all;
    for (int repeat = 0; repeat < repeats; ++repeat) all.push_back(measure(pipeline));

    const double items = static_cast<double>(pipeline.plan().items);
    const nlohmann::ordered_json facts{{"items", pipeline.plan().items},
                                       {"shards", pipeline.plan().shards()},
                                       {"batch", pipeline.plan().batch_items},
                                       {"cores", cores},
                                       {"repeats", repeats}};
    const auto tell = [&](const char* name, const char* unit, const Target& target, auto&& value) {
        report({"end_to_end", what.name, name, unit, over(all, value), target}, facts);
    };
    const auto rate = [&](const char* name, auto&& seconds) {
        tell(name, "stimuli/s", {}, [&](const Times& times) { return items / seconds(times); });
    };
    rate("feed_alone", [](const Times& t) { return t.feed; });
    rate("compute_alone", [](const Times& t) { return t.compute; });
    rate("write_alone", [](const Times& t) { return t.write; });
    rate("serial", [](const Times& t) { return t.serial; });
    rate("overlapped", [](const Times& t) { return t.overlapped; });
    rate("bound", [&](const Times& t) { return t.bound(cores); });
    tell("feed_share", "feed / compute", {}, [](const Times& t) { return t.feed / t.compute; });
    tell("compute_beside_feed", "x of alone", {},
         [](const Times& t) { return t.compute / t.beside; });
    tell("overlapped_cpu", "CPU time / that of the stages alone", {},
         [](const Times& t) { return t.overlapped_cpu / t.alone_cpu; });
    tell("serial_over_bound", "x", {}, [&](const Times& t) { return t.bound(cores) / t.serial; });
    tell("overlapped_over_bound", "x", at_least(0.90),
         [&](const Times& t) { return t.bound(cores) / t.overlapped; });
}

/// Kodak photographs, 768 x 512, again and again; as they are or as JPEG of quality 90.
std::string photographs(const fs::path& data, const fs::path& folder, bool as_jpeg, int count)
{
    std::vector<fs::path> files;
    for (const auto& entry : fs::directory_iterator(data / "kodak-images"))
        if (entry.path().extension() == ".png") files.push_back(entry.path());
    std::sort(files.begin(), files.end());
    for (fs::path& file : files) {
        if (!as_jpeg) continue;
        SharedReads reads;
        const Picture picture = open_stimuli(file, reads)->draw(ItemId{0}, InputTransform{});
        const tjhandle encoder = tjInitCompress();
        unsigned char* bytes = nullptr;
        unsigned long size = 0;
        const auto* pixels = static_cast<const unsigned char*>(picture.pixels.view().data);
        const int failed = tjCompress2(encoder, pixels, picture.width, 0, picture.height, TJPF_RGB,
                                       &bytes, &size, TJSAMP_420, 90, 0);
        file = folder / (file.stem().string() + ".jpg");
        std::ofstream(file, std::ios::binary)
            .write(reinterpret_cast<const char*>(bytes), static_cast<std::streamsize>(size));
        tjFree(bytes);
        tjDestroy(encoder);
        TWINSCREEN_REQUIRE(failed == 0, internal, "{}: cannot be written as JPEG", file.string());
    }
    const fs::path list = folder / (as_jpeg ? "jpeg.txt" : "png.txt");
    std::ofstream lines(list);
    for (int i = 0; i < count; ++i)
        lines << files[static_cast<std::size_t>(i) % files.size()].string() << "\n";
    return "[[stimuli]]\nlist = " + toml_text(list.string()) + "\n";
}

std::string twin(const fs::path& bundle)
{
    return "[[twins]]\nbundle = " + toml_text(fs::absolute(bundle).string()) + "\n";
}

std::vector<Case> known_cases(const fs::path& bundles, const fs::path& data, const fs::path& folder)
{
    const std::string units = "[screen]\nmeasures = [\"units\"]\n";
    std::vector<Case> cases;
    if (fs::is_directory(data / "kodak-images") && fs::is_directory(bundles / "mouse_cnn")) {
        cases.push_back(
            {"kodak_png_to_mouse_cnn",
             twin(bundles / "mouse_cnn") + photographs(data, folder, false, 1200) + units});
        cases.push_back(
            {"kodak_jpeg_to_mouse_cnn",
             twin(bundles / "mouse_cnn") + photographs(data, folder, true, 2880) + units});
    }
    const fs::path images = data / "v4-compact-models" / "images_190923.zip";
    if (fs::is_directory(data / "kodak-images") && fs::is_directory(bundles / "v4_shared_25"))
        cases.push_back(
            {"kodak_jpeg_to_v4_shared_25",
             twin(bundles / "v4_shared_25") + photographs(data, folder, true, 2880) + units});
    if (fs::exists(images) && fs::is_directory(bundles / "v4_shared_25"))
        cases.push_back({"v4_jpeg_to_v4_shared_25",
                         twin(bundles / "v4_shared_25") + "[[stimuli]]\nzip = " +
                             toml_text(fs::absolute(images).string()) + "\n" + units});
    cases.push_back({"gratings_to_gabor_energy",
                     "[[twins]]\nfamily = \"gabor_energy\"\n"
                     "[[stimuli]]\n[stimuli.gratings]\n"
                     "orientation = { from = 0, to = 172.5, steps = 24 }\n"
                     "spatial_frequency = [0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0]\n"
                     "phase = { from = 0, to = 315, steps = 8 }\n"
                     "contrast = [0.05, 0.1, 0.2, 0.4, 1.0]\n" +
                         units});
    cases.push_back({"pink_noise_to_gabor_energy",
                     "[[twins]]\nfamily = \"gabor_energy\"\n"
                     "[[stimuli]]\ncount = 30000\n[stimuli.pink_noise]\nalpha = 1.0\n" +
                         units});
    return cases;
}

}  // namespace
}  // namespace twinscreen::bench

int main(int argc, char** argv)
{
    using namespace twinscreen::bench;
    if (argc < 3) {
        fmt::print(stderr, "usage: end_to_end_bench BUNDLES DATA [CASE...]\n");
        return 2;
    }
    return twinscreen::bench::exit_code_of([&] {
        const twinscreen::KernelRuntime runtime;
        twinscreen::set_compute_threads(1);
        spdlog::set_level(spdlog::level::warn);
        const ScratchFolder scratch;
        for (const Case& what : known_cases(argv[1], argv[2], scratch.path()))
            if (argc == 3 || std::find(argv + 3, argv + argc, what.name) != argv + argc)
                run_case(what);
    });
}
