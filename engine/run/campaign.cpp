#include "engine/run/campaign.hpp"

#include <limits>
#include <optional>
#include <utility>

#include "engine/base/read_file.hpp"
#include "engine/config/limits.hpp"
#include "engine/stimulus/stimuli.hpp"
#include "engine/twin/bundle.hpp"

namespace twinscreen {

CampaignInputs Campaign::inputs() { return {twins, covariates, stimuli.get(), seed, schedule}; }

CampaignText read_campaign_text(const std::filesystem::path& file,
                                std::vector<std::string> overrides)
{
    std::filesystem::path folder = std::filesystem::absolute(file).parent_path();
    try {
        return {read_text(ReadFile(file), largest_config), file.string(), std::move(folder),
                std::move(overrides), std::make_shared<SharedReads>()};
    } catch (const Error& error) {
        throw Error(
            Error::Kind::config,
            fmt::format("{}: cannot read this campaign file ({})", file.string(), error.what()),
            "twinscreen init writes one");
    }
}

namespace {

constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max();

/// A campaign for a GPU is checked and planned on any machine.
void read_device(ConfigSection& section, ScheduleSettings& schedule)
{
    const std::string device = section.one_of("device", "auto", {"auto", "cpu", "gpu", "emulated"});
    if (device == "cpu") schedule.device = DeviceKind::cpu;
    if (device == "gpu") schedule.device = DeviceKind::gpu;
    if (device == "emulated") schedule.device = DeviceKind::emulated;
    schedule.whole_batches = device == "gpu" || device == "emulated" ||
                             (device == "auto" && !visible_gpus().names.empty());
}

void read_precision(ConfigSection& section, ScheduleSettings& schedule)
{
    const std::string name =
        section.one_of("precision", "float32", {"float32", "tf32", "bfloat16", "float16"});
    for (const Arithmetic arithmetic :
         {Arithmetic::tf32, Arithmetic::bfloat16, Arithmetic::float16})
        if (name == name_of(arithmetic)) schedule.arithmetic = arithmetic;
    if (schedule.arithmetic != Arithmetic::float32 && schedule.device == DeviceKind::cpu)
        section.complain("precision",
                         fmt::format("\"{}\" is for GPUs, the processor computes in float32", name),
                         "remove the line, or the one that says device = \"cpu\"");
}

void read_batch(ConfigSection& section, ScheduleSettings& schedule)
{
    if (section.holds_text("batch_items")) {
        section.require<std::string>(
            "batch_items", "",
            {[](const std::string& text) { return text == "auto"; }, "1..65536 or \"auto\""});
        schedule.largest_batch = true;
        return;
    }
    schedule.batch_items = static_cast<std::uint32_t>(section.get_or<std::int64_t>(
        "batch_items", 0, "stimuli", in_range<std::int64_t>(1, 65536)));
}

void read_run_section(ConfigSection section, Campaign& campaign)
{
    ScheduleSettings& schedule = campaign.schedule;
    RunSettings& run = campaign.run;
    schedule.shard_items = static_cast<std::uint64_t>(section.get_or<std::int64_t>(
        "shard_items", 0, "stimuli", in_range<std::int64_t>(1, 1 << 24)));
    read_batch(section, schedule);
    schedule.threads_per_rank = static_cast<std::uint32_t>(section.get_or<std::int64_t>(
        "threads_per_rank", 1, "threads", in_range<std::int64_t>(1, 1024)));
    schedule.limit = static_cast<std::uint64_t>(
        section.get_or<std::int64_t>("limit", 0, "stimuli", in_range<std::int64_t>(1, most)));
    read_device(section, schedule);
    read_precision(section, schedule);
    run.share_gpus = section.get_or("share_gpus", false);
    run.replay = section.get_or("replay", false);
    run.checkpoint_minutes = section.get_or<double>("checkpoint_minutes", run.checkpoint_minutes,
                                                    "min", in_range(0.001, 1440.0));
    run.reader_threads = static_cast<int>(section.get_or<std::int64_t>(
        "reader_threads", 0, "threads", in_range<std::int64_t>(1, 256)));
    run.queue_mib = static_cast<int>(section.get_or<std::int64_t>(
        "queue_mib", run.queue_mib, "MiB", in_range<std::int64_t>(1, 65536)));
    run.scratch_s =
        section.get_or<double>("scratch_seconds", run.scratch_s, "s", in_range(0.0, 86400.0));
    run.silence_s = section.get_or<double>("silence", run.silence_s, "s", in_range(2.0, 3600.0));
    run.mixed_numerics = section.one_of("numerics", "same", {"same", "mixed"}) == "mixed";
    run.queue = section.one_of("queue", "auto", {"auto", "service", "static"});
    if (section.one_of("on_bad_image", "stop", {"stop", "nan"}) == "nan")
        run.on_bad_image = BadImage::record_nan;
    run.accept_changed_stimuli =
        section.one_of("changed_stimuli", "refuse", {"refuse", "accept"}) == "accept";
    section.reject_unknown_keys();
}

void read_twins(ConfigSection& root, Campaign& campaign)
{
    for (ConfigSection& section : root.children("twins")) {
        Twin twin = make_twin(section);
        campaign.covariates.push_back(read_covariates(section, twin));
        if (!twin.parts.empty()) section.reject_unknown_keys();
        for (const Twin& other : campaign.twins)
            if (other.spec.name == twin.spec.name && !section.has_mistakes())
                section.complain("name", fmt::format("two twins are called '{}'", twin.spec.name),
                                 "give one of them another name = \"...\"");
        campaign.twins.push_back(std::move(twin));
    }
}

/// `path = ANYTHING` opens what lies there by its kind, all other keys are those of a source.
std::unique_ptr<StimulusSource> read_set(ConfigSection& section, std::uint64_t seed,
                                         std::uint32_t number)
{
    if (!section.has("path")) return make_stimulus_source(section, seed, number);
    const auto path = section.path("path");
    if (section.has_mistakes() || !path) return nullptr;
    try {
        return open_stimuli(*path, section.reads());
    } catch (const Error& error) {
        section.complain("path", error.what());
        return nullptr;
    }
}

/// `canvas = 128` and `canvas_degrees_per_pixel`: nullopt where pictures are drawn for each twin.
std::optional<InputTransform> read_canvas(ConfigSection& section)
{
    if (!section.has("canvas")) return std::nullopt;
    InputTransform canvas;
    canvas.height = canvas.width = static_cast<int>(
        section.require<std::int64_t>("canvas", "pixels", in_range<std::int64_t>(8, 4096)));
    if (section.has("canvas_degrees_per_pixel"))
        canvas.degrees_per_pixel =
            section.require<double>("canvas_degrees_per_pixel", "deg", above(0.0));
    return canvas;
}

/// What a table asks of a set beside its own kind.
std::unique_ptr<StimulusSource> read_shown_set(ConfigSection& section, std::uint64_t seed,
                                               std::uint32_t number)
{
    const bool grey = section.get_or("grey", false);
    const bool square_root =
        section.one_of("brightness", "as_it_is", {"as_it_is", "square_root"}) == "square_root";
    const std::optional<InputTransform> canvas = read_canvas(section);
    auto set = read_set(section, seed, number);
    if (set == nullptr) return set;
    if (canvas && !set->drawn_for_canvas()) {
        section.complain("canvas", "pictures of files have a size of their own",
                         "canvas is for sets that are drawn");
        return nullptr;
    }
    if (canvas) set = on_canvas(std::move(set), *canvas);
    if (square_root && section.has("prepared") && section.get_or("prepared", false)) {
        section.complain("brightness", "values of a prepared array are no levels of brightness",
                         "brightness is for pictures of 0..255");
        return nullptr;
    }
    if (square_root) set = in_square_root(std::move(set));
    return grey ? in_grey(std::move(set)) : std::move(set);
}

void read_stimuli(ConfigSection& root, Campaign& campaign)
{
    std::vector<std::unique_ptr<StimulusSource>> sets;
    std::uint32_t number = 0;
    bool complete = true;
    for (ConfigSection& section : root.children("stimuli")) {
        auto set = read_shown_set(section, campaign.seed, number++);
        section.reject_unknown_keys();
        complete = complete && set != nullptr && !section.has_mistakes();
        sets.push_back(std::move(set));
    }
    if (sets.empty())
        campaign.stimuli = no_stimuli();
    else if (complete)
        campaign.stimuli = concatenate(std::move(sets));
}

void read_experiment(ConfigSection& root, Campaign& campaign, const ExperimentRegistry& registry)
{
    std::string names;
    for (const auto& entry : registry.entries()) {
        names += fmt::format("{}[{}]", names.empty() ? "" : " or ", entry.name);
        if (!root.has(entry.name)) continue;
        ConfigSection section = root.child(entry.name);
        if (!campaign.experiment_name.empty()) {
            root.complain(entry.name, fmt::format("the campaign has [{}] already, a second "
                                                  "experiment needs a campaign of its own",
                                                  campaign.experiment_name));
            continue;
        }
        campaign.experiment_name = entry.name;
        campaign.experiment = entry.make(section);
        section.reject_unknown_keys();
        if (entry.needs_twins && !root.has("twins"))
            root.complain("twins", "the campaign has no [[twins]]",
                          "name a bundle, or family = \"gabor_energy\", which needs no files");
        if (entry.needs_stimuli && !root.has("stimuli"))
            root.complain(
                "stimuli", "the campaign has no [[stimuli]]",
                "twinscreen list shows the kinds of stimuli; twinscreen init writes an example");
    }
    if (campaign.experiment_name.empty())
        root.complain(registry.entries().front().name,
                      fmt::format("the campaign names no experiment (expected {})", names));
}

/// Item columns that covariates name, as the first stimulus has them.
void check_covariates(ConfigSection& root, const Campaign& campaign)
{
    if (!campaign.stimuli || campaign.stimuli->count() == 0 || root.has_mistakes()) return;
    const Table described = campaign.stimuli->describe({ItemId{0}, 1});
    std::vector<ConfigSection> sections = root.children("twins");
    for (std::size_t twin = 0; twin < campaign.covariates.size(); ++twin)
        for (const CovariateBinding& binding : campaign.covariates[twin])
            for (const std::string& name : binding.columns) {
                const TableColumn* column = described.find(name);
                if (column != nullptr && !column->is_text()) continue;
                std::vector<std::string> known;
                for (const TableColumn& other : described.columns)
                    if (!other.is_text()) known.push_back(other.name);
                const auto nearest = nearest_word(name, known);
                sections[twin].complain(
                    binding.name,
                    fmt::format("the stimuli have no item column of numbers named '{}'", name),
                    nearest ? fmt::format("did you mean '{}'?", *nearest)
                            : "item columns come from `labels` of [[stimuli]]");
            }
}

/// Every stimulus set against every network input: sizes in degrees, array shapes.
void check_stimuli(ConfigSection& root, const Campaign& campaign)
{
    if (!campaign.stimuli || root.has_mistakes()) return;
    for (const Twin& twin : campaign.twins)
        for (const TwinPart& part : twin.parts) {
            try {
                campaign.stimuli->check(part.backbone->input());
            } catch (Error& error) {
                root.complain("stimuli",
                              fmt::format("for twin '{}': {}", twin.spec.name, error.what()));
                return;
            }
        }
}

}  // namespace

Campaign load_campaign(const CampaignText& text, const ExperimentRegistry& registry)
{
    ConfigDocument document =
        ConfigDocument::parse(text.text, text.display_name, text.folder, text.reads);
    for (const std::string& assignment : text.overrides) document.override_value(assignment);

    ConfigSection root = document.root();
    Campaign campaign;
    campaign.text = text.text;
    campaign.overrides = text.overrides;
    campaign.name =
        root.get_or<std::string>("name", std::filesystem::path(text.display_name).stem().string());
    campaign.seed = static_cast<std::uint64_t>(
        root.get_or<std::int64_t>("seed", 0, "", in_range<std::int64_t>(0, most)));
    campaign.out = root.path("out").value_or(std::filesystem::path{});
    read_run_section(root.child("run"), campaign);
    read_twins(root, campaign);
    read_stimuli(root, campaign);
    read_experiment(root, campaign, registry);
    root.reject_unknown_keys();
    check_stimuli(root, campaign);
    check_covariates(root, campaign);
    if (!root.has_mistakes()) {
        ConfigSection section = root.child(campaign.experiment_name);
        campaign.experiment->check(section, campaign.inputs());
    }
    document.throw_if_invalid();
    return campaign;
}

StagePlan first_stage(Campaign& campaign)
{
    auto stage = campaign.experiment->next_stage(campaign.inputs(), StageHistory{});
    TWINSCREEN_REQUIRE(stage.has_value(), internal, "the experiment has no first stage");
    return std::move(*stage);
}

}  // namespace twinscreen
