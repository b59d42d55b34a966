#include "experiments/relational_control/univariate/univariate_null.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "engine/base/error.hpp"
#include "kernels/partial_shuffle.hpp"

namespace twinscreen {
namespace {

using AreaMeans = std::array<double, 2>;
using Effects = std::array<AreaMeans, control_conditions>;
using Slots = std::vector<std::uint32_t>;

/// The sets with one slot for each image that is in any of them.
struct SlotSets {
    std::vector<std::uint32_t> images;  // [slots]
    std::array<Slots, control_conditions> controlling;
    std::array<Slots, 2> baseline;
};

SlotSets slots_of(const ControlSets& sets)
{
    SlotSets result;
    for (const auto& ids : sets.controlling)
        result.images.insert(result.images.end(), ids.begin(), ids.end());
    for (const auto& ids : sets.baseline)
        result.images.insert(result.images.end(), ids.begin(), ids.end());
    std::ranges::sort(result.images);
    result.images.erase(std::unique(result.images.begin(), result.images.end()),
                        result.images.end());
    const auto place = [&](std::span<const std::uint32_t> ids) {
        Slots slots;
        for (const std::uint32_t id : ids)
            slots.push_back(static_cast<std::uint32_t>(std::ranges::lower_bound(result.images, id) -
                                                       result.images.begin()));
        return slots;
    };
    for (std::size_t c = 0; c < control_conditions; ++c)
        result.controlling[c] = place(sets.controlling[c]);
    for (std::size_t area = 0; area < 2; ++area) result.baseline[area] = place(sets.baseline[area]);
    return result;
}

/// values  [slots, 2]
/// returns  0 / 0 = NaN for an empty set
AreaMeans means_of(std::span<const double> values, const Slots& slots)
{
    double first = 0.0;
    double second = 0.0;
    for (const std::size_t slot : slots) {
        first += values[2 * slot];
        second += values[2 * slot + 1];
    }
    const auto count = static_cast<double>(slots.size());
    return {first / count, second / count};
}

/// images  [slots]  the image whose responses each slot gets
Effects effects_of(std::span<const float> responses, const SlotSets& sets,
                   std::span<const std::uint32_t> images, std::span<double> values)
{
    for (std::size_t slot = 0; slot < images.size(); ++slot) {
        values[2 * slot] = static_cast<double>(responses[2 * std::size_t{images[slot]}]);
        values[2 * slot + 1] = static_cast<double>(responses[2 * std::size_t{images[slot]} + 1]);
    }
    const double first = means_of(values, sets.baseline[0])[0];
    const double second = means_of(values, sets.baseline[1])[1];
    Effects effects{};
    for (std::size_t c = 0; c < control_conditions; ++c) {
        const AreaMeans means = means_of(values, sets.controlling[c]);
        effects[c] = {means[0] - first, means[1] - second};
    }
    return effects;
}

}  // namespace

ControlTests permute_images(std::span<const float> responses, const ControlSets& sets,
                            const PermutationBlock& block)
{
    const SlotSets slots = slots_of(sets);
    const std::size_t images = responses.size() / 2;
    TWINSCREEN_REQUIRE(slots.images.empty() || slots.images.back() < images, internal,
                       "image {} of a set is not among {} images", slots.images.back(), images);
    TWINSCREEN_REQUIRE(std::ranges::none_of(responses, [](float u) { return std::isnan(u); }),
                       internal, "responses to permute contain NaN");
    std::vector<double> values(2 * slots.images.size());
    const Effects observed = effects_of(responses, slots, slots.images, values);
    ControlTests tests;
    for (std::size_t c = 0; c < control_conditions; ++c)
        for (std::size_t area = 0; area < 2; ++area)
            tests[c][area] = {.observed = observed[c][area],
                              .tail = wants_high(static_cast<ControlCondition>(c), area)
                                          ? Tail::above
                                          : Tail::below};
    PartialShuffle shuffle(static_cast<std::uint32_t>(images));
    std::vector<std::uint32_t> drawn(slots.images.size());
    for (std::uint32_t t = block.first; t < block.first + block.count; ++t) {
        shuffle.draw(block.address(DrawStream::permuted_images, t), drawn);
        const Effects null = effects_of(responses, slots, drawn, values);
        for (std::size_t c = 0; c < control_conditions; ++c)
            for (std::size_t area = 0; area < 2; ++area) tests[c][area].add(null[c][area]);
    }
    return tests;
}

}  // namespace twinscreen
