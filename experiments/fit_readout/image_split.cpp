#include "experiments/fit_readout/image_split.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <unordered_map>

#include "engine/base/error.hpp"
#include "kernels/random.hpp"

namespace twinscreen {
namespace {

/// Items in the order of their draws.
std::vector<std::uint64_t> in_drawn_order(std::vector<std::uint64_t> items, DrawStream stream,
                                          std::uint64_t seed)
{
    const auto key = [&](std::uint64_t item) {
        const auto bits = draw_bits({seed, stream, item, 0});
        return std::pair((std::uint64_t{bits[0]} << 32U) | bits[1], item);
    };
    std::ranges::sort(items, {}, key);
    return items;
}

std::vector<std::uint64_t> within(const ItemSpan& span, const std::vector<std::uint64_t>& usable)
{
    return {std::ranges::lower_bound(usable, span.first),
            std::ranges::lower_bound(usable, span.end)};
}

struct Parts {
    std::vector<std::uint64_t> train;
    std::vector<std::uint64_t> validation;
    std::vector<std::uint64_t> test;
};

Parts drawn_parts(const std::vector<double>& shares, const std::vector<std::uint64_t>& usable,
                  std::uint64_t seed)
{
    const std::vector<std::uint64_t> order = in_drawn_order(usable, DrawStream::split, seed);
    const auto count = [&](double share) {
        return static_cast<std::ptrdiff_t>(std::llround(share * static_cast<double>(order.size())));
    };
    const auto test_end = order.begin() + count(shares[2]);
    const auto validation_end =
        order.begin() + std::min(count(shares[2]) + count(shares[1]), std::ssize(order));
    Parts parts{
        {validation_end, order.end()}, {test_end, validation_end}, {order.begin(), test_end}};
    for (auto* part : {&parts.train, &parts.validation, &parts.test}) std::ranges::sort(*part);
    return parts;
}

}  // namespace

std::vector<std::uint64_t> ImageSplit::fitted() const
{
    std::vector<std::uint64_t> all;
    for (const auto& group : groups) all.insert(all.end(), group.begin(), group.end());
    std::ranges::sort(all);
    return all;
}

ImageSplit split_images(const SplitSettings& settings, const std::vector<std::uint64_t>& usable,
                        std::uint64_t seed)
{
    const bool is_given = settings.train.count() > 0;
    Parts parts = is_given
                      ? Parts{within(settings.train, usable), within(settings.validation, usable),
                              within(settings.test, usable)}
                      : drawn_parts(settings.shares, usable, seed);
    ImageSplit split;
    split.test = std::move(parts.test);
    TWINSCREEN_REQUIRE(split.test.size() >= 3, config,
                       "{} test images remain, a correlation needs at least 3", split.test.size());
    if (!parts.validation.empty()) {
        TWINSCREEN_REQUIRE(parts.train.size() >= 3, config,
                           "{} training images remain, a fit needs at least 3", parts.train.size());
        split.groups = {std::move(parts.train), std::move(parts.validation)};
        split.held_out = {1};
        return split;
    }
    TWINSCREEN_REQUIRE(parts.train.size() >= 2 * settings.folds, config,
                       "{} training images for {} folds: every fold needs at least 2 (choose fewer "
                       "folds or more training images)",
                       parts.train.size(), settings.folds);
    split.groups.resize(settings.folds);
    const auto order = in_drawn_order(std::move(parts.train), DrawStream::folds, seed);
    for (std::size_t place = 0; place < order.size(); ++place)
        split.groups[place % settings.folds].push_back(order[place]);
    for (auto& group : split.groups) std::ranges::sort(group);
    split.held_out.resize(settings.folds);
    std::iota(split.held_out.begin(), split.held_out.end(), std::size_t{0});
    return split;
}

std::vector<std::size_t> shuffled_places(std::size_t count, std::uint64_t seed)
{
    std::vector<std::size_t> places(count);
    std::iota(places.begin(), places.end(), std::size_t{0});
    for (std::size_t place = count; place-- > 1;) {
        const auto bits = draw_bits({seed, DrawStream::shuffled_images, place, 0});
        std::swap(places[place], places[below(bits[0], static_cast<std::uint32_t>(place + 1))]);
    }
    return places;
}

std::size_t repeats_over_groups(const ImageSplit& split, std::span<const std::uint64_t> digests)
{
    std::unordered_map<std::uint64_t, std::size_t> group_of;
    std::size_t repeats = 0;
    for (std::size_t group = 0; group < split.groups.size(); ++group)
        for (const std::uint64_t item : split.groups[group])
            if (group_of.try_emplace(digests[item], group).first->second != group) ++repeats;
    return repeats;
}

std::vector<Leak> leaks_of(const ImageSplit& split, std::span<const std::uint64_t> digests)
{
    std::unordered_map<std::uint64_t, std::uint64_t> fitted;
    for (const std::uint64_t item : split.fitted()) fitted.try_emplace(digests[item], item);
    std::vector<Leak> leaks;
    for (const std::uint64_t item : split.test) {
        const auto found = fitted.find(digests[item]);
        if (found != fitted.end()) leaks.push_back({found->second, item});
    }
    return leaks;
}

}  // namespace twinscreen
