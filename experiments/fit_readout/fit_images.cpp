#include "experiments/fit_readout/fit_images.hpp"

#include <algorithm>
#include <cmath>

#include "experiments/fit_readout/recorded_units.hpp"
#include "experiments/item_name.hpp"

namespace twinscreen {
namespace {

Error unusable_error(const FitSettings& settings, const FitImages& images,
                     const std::vector<UnusableUnit>& unusable)
{
    constexpr std::size_t shown = 5;
    std::string text =
        fmt::format("{}: {} of {} units cannot be fitted", settings.responses.string(),
                    unusable.size(), images.recording.neurons);
    for (std::size_t at = 0; at < std::min(shown, unusable.size()); ++at)
        text += fmt::format("\n  neuron {}: {}", unusable[at].neuron, unusable[at].reason);
    if (unusable.size() > shown) text += fmt::format("\n  and {} more", unusable.size() - shown);
    return {Error::Kind::data, text, "unusable_units = \"leave_out\" goes on without them"};
}

void refuse_leaks(const FitSettings& settings, const SeenStimuli& seen, FitImages& images)
{
    const std::vector<Leak> leaks = leaks_of(images.split, seen.pictures);
    images.leaks = leaks.size();
    if (leaks.empty() || settings.allow_leakage) return;
    throw Error(Error::Kind::data,
                fmt::format("{} of {} test images are among the fitted images: {} is the same "
                            "picture as {}. A score on them says nothing",
                            leaks.size(), images.split.test.size(),
                            name_of_item(seen.stimuli, leaks.front().tested),
                            name_of_item(seen.stimuli, leaks.front().fitted)),
                "same_images = \"allow\" in [fit_readout] takes them all the same; the features "
                "are kept");
}

/// Means of the fitted images, each with the responses to another image behind.
void settle_responses(std::uint64_t seed, FitImages& images)
{
    const std::size_t units = images.neurons.size();
    const std::vector<double> means =
        mean_responses(images.recording, images.fitted, images.neurons);
    const std::vector<std::size_t> other = shuffled_places(images.fitted.size(), seed);
    images.responses.resize(2 * means.size());
    for (std::size_t place = 0; place < images.fitted.size(); ++place)
        for (std::size_t unit = 0; unit < units; ++unit) {
            images.responses[2 * place * units + unit] = means[place * units + unit];
            images.responses[(2 * place + 1) * units + unit] = means[other[place] * units + unit];
        }
}

void settle_scores(const FitSettings& settings, std::span<const double> luminance,
                   std::uint64_t seed, FitImages& images)
{
    std::vector<std::uint64_t> items = images.fitted;
    items.insert(items.end(), images.split.test.begin(), images.split.test.end());
    images.scored = excerpt(images.recording, items, images.neurons);
    images.levels.clear();
    for (const std::uint64_t item : items) images.levels.push_back(luminance[item]);
    images.score.fit = {0, images.fitted.size()};
    images.score.score = {images.fitted.size(), items.size()};
    images.score.resamples = settings.resamples;
    images.score.halvings = settings.halvings;
    images.resamples = draw_resamples(static_cast<std::uint32_t>(images.split.test.size()),
                                      settings.resamples, seed);
}

}  // namespace

FitImages read_fit_images(const FitSettings& settings, std::uint64_t stimuli,
                          ConfigSection& section)
{
    FitImages images;
    const auto complained_of = [&](const char* key, const auto& read) {
        try {
            read();
        } catch (const Error& error) {
            section.complain(key, error.what());
        }
    };
    complained_of("responses", [&] {
        images.recording =
            read_recording(settings.responses, settings.layout, stimuli, Missing::keep);
    });
    if (images.recording.neurons == 0) return images;
    complained_of("unit_table", [&] {
        images.recorded_units = recorded_units(settings.unit_table, images.recording.neurons,
                                               settings.subject, settings.area, section.reads());
    });
    return images;
}

Table image_table(const FitImages& images)
{
    std::vector<std::int64_t> items, groups;
    std::vector<std::string> uses;
    const auto add = [&](std::uint64_t item, const char* use, std::int64_t group) {
        items.push_back(static_cast<std::int64_t>(item));
        uses.emplace_back(use);
        groups.push_back(group);
    };
    const ImageSplit& split = images.split;
    const bool has_validation = split.held_out.size() == 1;
    for (std::size_t group = 0; group < split.groups.size(); ++group)
        for (const std::uint64_t item : split.groups[group])
            add(item, has_validation && group == split.held_out[0] ? "validation" : "train",
                static_cast<std::int64_t>(group));
    for (const std::uint64_t item : split.test) add(item, "test", -1);
    return {{{"item", "", std::move(items)},
             {"use", "", std::move(uses)},
             {"group", "", std::move(groups)}}};
}

void settle_units(const FitSettings& settings, const ImageSplit& split, FitImages& images)
{
    const std::vector<UnusableUnit> unusable = unusable_units(images.recording, split);
    if (!unusable.empty() && !settings.leave_out_unusable)
        throw unusable_error(settings, images, unusable);
    images.neurons.clear();
    auto left_out = unusable.begin();
    for (std::size_t neuron = 0; neuron < images.recording.neurons; ++neuron) {
        if (left_out != unusable.end() && left_out->neuron == neuron)
            ++left_out;
        else
            images.neurons.push_back(neuron);
    }
    TWINSCREEN_REQUIRE(!images.neurons.empty(), data, "{}: none of the {} units can be fitted ({})",
                       settings.responses.string(), images.recording.neurons,
                       unusable.front().reason);
    images.units = images.recorded_units.select(images.neurons);
    images.left_out = unusable.size();
}

void settle_images(const FitSettings& settings, const SeenStimuli& seen, std::uint64_t seed,
                   FitImages& images)
{
    std::vector<std::uint64_t> usable;
    for (std::uint64_t item = 0; item < seen.luminance.size(); ++item)
        if (!std::isnan(seen.luminance[item])) usable.push_back(item);
    images.unreadable = seen.luminance.size() - usable.size();
    images.split = split_images(settings.split, usable, seed);
    refuse_leaks(settings, seen, images);
    images.repeats = repeats_over_groups(images.split, seen.pictures);
    settle_units(settings, images.split, images);
    images.fitted = images.split.fitted();
    settle_responses(seed, images);
    settle_scores(settings, seen.luminance, seed, images);
}

}  // namespace twinscreen
