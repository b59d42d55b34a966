// Eight subjects with readouts of their own on one backbone, against one subject and against eight
// runs of one subject each. The subjects are halves of the four sessions of a shared V4 model.
//
// usage: shared_backbone_bench BUNDLES DATA
#include <array>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "benchmarks/bench_support.hpp"
#include "engine/config/toml_text.hpp"
#include "engine/run/runner.hpp"
#include "engine/twin/bundle.hpp"
#include "kernels/runtime.hpp"

namespace twinscreen::bench {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t subjects = 8;
constexpr int repeats = 7;

/// Filters that split the 219 units of a shared V4 model among eight subjects.
constexpr std::array<const char*, subjects> filters{
    "session == 190923 and neuron < 16", "session == 190923 and neuron >= 16",
    "session == 201025 and neuron < 44", "session == 201025 and neuron >= 44",
    "session == 210225 and neuron < 27", "session == 210225 and neuron >= 27",
    "session == 211022 and neuron < 21", "session == 211022 and neuron >= 21"};

/// What every subject is asked for.
struct Measures {
    const char* name;
    const char* list;
    ForwardWants wants;
};
constexpr std::array<Measures, 2> measures{Measures{"area_means", "\"area_mean\"", {false, true}},
                                           Measures{"units", "\"units\"", {true, false}}};

std::string campaign_text(const fs::path& bundle, const fs::path& images, const Measures& what,
                          std::size_t first, std::size_t count, int stimuli)
{
    std::string text = fmt::format("[run]\nlimit = {}\n", stimuli);
    for (std::size_t subject = first; subject < first + count; ++subject)
        text += fmt::format("[[twins]]\nname = \"subject {}\"\nbundle = {}\nunits = \"{}\"\n",
                            subject, toml_text(bundle.string()), filters[subject]);
    text += "[[stimuli]]\nzip = " + toml_text(images.string()) + "\n";
    return text + fmt::format("[screen]\nmeasures = [{}]\n", what.list);
}

/// Forward passes and readouts of some subjects over pictures in memory.
class Forward {
public:
    Forward(const std::string& text, const ForwardWants& wants)
        : campaign_(campaign_of(text)),
          plan_(campaign_.twins, campaign_.covariates, wants),
          units_(ElementType::f32, {rows, static_cast<std::int64_t>(plan_.units().rows())}),
          areas_(ElementType::f32, {rows, static_cast<std::int64_t>(plan_.areas().rows())})
    {
        ReaderSettings settings;
        settings.batch_items = rows;
        reader_ =
            make_input_reader(*campaign_.stimuli, plan_.canvases(), plan_.bindings(), settings);
        const Shard shard{ShardId{0}, {ItemId{0}, rows}};
        reader_->announce(shard, shard.items);
        batch_ = reader_->open(shard).next();
    }

    double macs() const { return plan_.macs_per_item(); }

    double seconds(int stimuli)
    {
        return seconds_of([&] {
            for (int done = 0; done < stimuli; done += rows)
                plan_.run(*batch_, units_.view(), areas_.view(), *executor_);
        });
    }

private:
    static constexpr std::int64_t rows = 16;
    std::unique_ptr<Executor> executor_ = make_host_executor();
    Campaign campaign_;
    ForwardPlan plan_;
    OwnedBatch units_;
    OwnedBatch areas_;
    std::unique_ptr<InputReader> reader_;
    const InputBatch* batch_ = nullptr;
};

/// A whole run, from the campaign to the closed store.
double run_seconds(const std::string& text)
{
    const ScratchFolder scratch;
    return seconds_of([&] {
        Campaign campaign = campaign_of(text);
        const auto communicator = make_local_communicator();
        std::atomic<bool> stop{false};
        run_campaign(campaign, scratch.path() / "store", *communicator, stop);
    });
}

void run_case(const std::string& model, const fs::path& bundle, const fs::path& images,
              const Measures& what, int stimuli)
{
    const auto text = [&](std::size_t first, std::size_t count) {
        return campaign_text(bundle, images, what, first, count, stimuli);
    };
    Forward all(text(0, subjects), what.wants);
    std::vector<std::unique_ptr<Forward>> single;
    for (std::size_t subject = 0; subject < subjects; ++subject)
        single.push_back(std::make_unique<Forward>(text(subject, 1), what.wants));

    std::vector<double> over_one, over_shared, rates;
    for (int repeat = 0; repeat < repeats; ++repeat) {
        double alone = 0.0;
        for (const auto& subject : single) alone += subject->seconds(stimuli / 4);
        const double together = all.seconds(stimuli);
        over_one.push_back(together / 4.0 / (alone / static_cast<double>(subjects)));

        double separate = 0.0;
        for (std::size_t subject = 0; subject < subjects; ++subject)
            separate += run_seconds(text(subject, 1));
        const double shared = run_seconds(text(0, subjects));
        over_shared.push_back(separate / shared);
        rates.push_back(stimuli / shared);
    }
    double alone_macs = 0.0;
    for (const auto& subject : single) alone_macs += subject->macs() / subjects;
    // What the arithmetic alone asks for: readouts are no smaller for being many.
    const nlohmann::ordered_json facts{{"subjects", subjects},
                                       {"stimuli", stimuli},
                                       {"repeats", repeats},
                                       {"threads", 1},
                                       {"macs_eight_over_one", all.macs() / alone_macs}};
    const auto tell = [&](const char* name, const char* unit, const std::vector<double>& values,
                          const Target& target) {
        report({"shared_backbone", model + "_" + what.name, name, unit, summary_of(values), target},
               facts);
    };
    tell("eight_subjects", "stimuli/s", rates, {});
    tell("eight_over_one", "x", over_one, at_most(1.15));
    tell("separate_over_shared", "x", over_shared, at_least(6.0));
}

}  // namespace
}  // namespace twinscreen::bench

int main(int argc, char** argv)
{
    using namespace twinscreen::bench;
    if (argc != 3) {
        fmt::print(stderr, "usage: shared_backbone_bench BUNDLES DATA\n");
        return 2;
    }
    return twinscreen::bench::exit_code_of([&] {
        const twinscreen::KernelRuntime runtime;
        twinscreen::set_compute_threads(1);
        spdlog::set_level(spdlog::level::warn);
        const fs::path bundles = fs::absolute(argv[1]);
        const fs::path images = fs::absolute(argv[2]) / "v4-compact-models" / "images_190923.zip";
        for (const Measures& what : measures)
            run_case("v4_shared_200", bundles / "v4_shared_200", images, what, 64);
        for (const Measures& what : measures)
            run_case("v4_shared_25", bundles / "v4_shared_25", images, what, 512);
    });
}
