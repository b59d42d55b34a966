#include "experiments/relational_control/session/session_export.hpp"

#include <fstream>
#include <iterator>

#include "engine/config/csv.hpp"
#include "engine/stimulus/png_writer.hpp"
#include "experiments/item_name.hpp"
#include "experiments/relational_control/session/luminance.hpp"

namespace twinscreen {
namespace {

void write_table(const Table& table, const std::filesystem::path& file)
{
    std::ofstream stream(file);
    stream << csv_text(table);
    TWINSCREEN_REQUIRE(stream.good(), store, "{}: cannot be written", file.string());
}

/// False, and nothing is written, where somebody has changed what stood there.
bool write_unless_changed(const Table& table, const std::filesystem::path& file)
{
    std::ifstream before(file);
    const std::string there{std::istreambuf_iterator<char>(before), {}};
    if (!there.empty() && there != csv_text(table)) return false;
    write_table(table, file);
    return true;
}

/// The centre of a picture, square and of the session's size.
Picture framed(const StimulusSource& stimuli, std::uint32_t image, int size)
{
    InputTransform canvas;
    canvas.channels = 3;
    canvas.height = canvas.width = size;
    const Picture drawn = stimuli.draw(ItemId{image}, canvas);
    canvas.channels = drawn.channels;
    Picture picture{size, size, drawn.channels, false,
                    OwnedBatch(ElementType::f32, {size, size, drawn.channels})};
    canvas.channels_last = true;
    apply_transform(
        canvas, drawn,
        {picture.pixels.view().data, ElementType::f32, {1, size, size, drawn.channels}});
    return picture;
}

}  // namespace

std::vector<std::string> write_session(const std::vector<SessionSet>& sets,
                                       const SessionSettings& settings, const SessionKind& kind,
                                       const CampaignInputs& inputs,
                                       const std::filesystem::path& store_folder)
{
    if (inputs.stimuli->count() == 0) return {};
    const std::filesystem::path folder = store_folder / kind.folder;
    std::error_code failure;
    std::filesystem::create_directories(folder, failure);
    TWINSCREEN_REQUIRE(!failure, store, "{}: the folder of the session cannot be made ({})",
                       folder.string(), failure.message());
    std::vector<std::int64_t> numbers, items;
    std::vector<std::string> names, files, stimuli;
    std::vector<double> factors, luminances;
    for (const SessionSet& set : sets)
        for (const std::uint32_t image : set.images) {
            numbers.push_back(static_cast<std::int64_t>(numbers.size() + 1));
            Picture picture = framed(*inputs.stimuli, image, settings.size);
            Brightened shown{std::move(picture), 1.0, 0.0};
            if (settings.grey > 0.0) shown = match_luminance(shown.picture, settings.grey);
            files.push_back(fmt::format("{:03}.png", numbers.back()));
            write_png(shown.picture, folder / files.back());
            names.push_back(set.name);
            items.push_back(image);
            stimuli.push_back(name_of_item(*inputs.stimuli, image));
            factors.push_back(shown.factor);
            luminances.push_back(relative_luminance(shown.picture));
        }
    const TrialPlan plan{
        static_cast<std::uint32_t>(numbers.size()), settings.repetitions.value_or(kind.repetitions),
        settings.runs.value_or(kind.runs), settings.catch_trials, settings.trial_s};
    write_table({{{"image", "", std::move(numbers)},
                  {"set", "", std::move(names)},
                  {"file", "", std::move(files)},
                  {"item", "", std::move(items)},
                  {"stimulus", "", std::move(stimuli)},
                  {"factor", "", std::move(factors)},
                  {"luminance", "", std::move(luminances)}}},
                folder / "images.csv");
    const Table trials = trial_table(plan, inputs.seed, kind.item);
    std::vector<std::string> lines{fmt::format("session: {} pictures, {} trials in {} runs: {}",
                                               plan.images, trials.rows(), plan.runs,
                                               folder.string())};
    if (!write_unless_changed(trials, folder / "trials.csv"))
        lines.push_back(
            "  trials.csv is not what this campaign plans, and is left as it is; remove it to have "
            "it written anew");
    return lines;
}

}  // namespace twinscreen
