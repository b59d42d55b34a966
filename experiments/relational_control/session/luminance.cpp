#include "experiments/relational_control/session/luminance.hpp"

#include <algorithm>
#include <array>
#include <cmath>

namespace twinscreen {
namespace {

constexpr double tolerance = 0.01;
constexpr int most_steps = 60;

double linear(double level)
{
    const double value = level / 255.0;
    return value <= 0.04045 ? value / 12.92 : std::pow((value + 0.055) / 1.055, 2.4);
}

std::array<double, 256> linear_levels()
{
    std::array<double, 256> levels{};
    for (std::size_t level = 0; level < levels.size(); ++level)
        levels[level] = linear(static_cast<double>(level));
    return levels;
}

double level_at(const Picture& picture, std::size_t at)
{
    return picture.pixels.type() == ElementType::u8
               ? static_cast<double>(picture.pixels.values<std::uint8_t>()[at])
               : static_cast<double>(picture.pixels.values<float>()[at]);
}

Picture brightened(const Picture& picture, double factor)
{
    Picture result{picture.height, picture.width, picture.channels, false,
                   OwnedBatch(ElementType::u8, picture.pixels.shape())};
    const auto levels = result.pixels.values<std::uint8_t>();
    for (std::size_t at = 0; at < levels.size(); ++at)
        levels[at] = static_cast<std::uint8_t>(
            std::lround(std::clamp(factor * level_at(picture, at), 0.0, 255.0)));
    return result;
}

}  // namespace

double relative_luminance(const Picture& picture)
{
    static const std::array<double, 256> linear_of = linear_levels();
    constexpr std::array<double, 3> weights{0.2126, 0.7152, 0.0722};
    const auto channels = static_cast<std::size_t>(picture.channels);
    const std::size_t values = static_cast<std::size_t>(picture.pixels.shape().count());
    double sum = 0.0;
    for (std::size_t at = 0; at < values; ++at) {
        const double level = std::clamp(level_at(picture, at), 0.0, 255.0);
        const double weight = channels == 3 ? weights[at % 3] : 1.0;
        sum += weight * (picture.pixels.type() == ElementType::u8
                             ? linear_of[static_cast<std::size_t>(level)]
                             : linear(level));
    }
    return sum / (static_cast<double>(values) / static_cast<double>(channels));
}

Brightened match_luminance(const Picture& picture, double grey)
{
    const double aim = linear(grey);
    double factor = 1.0, step = 0.2;
    Brightened result{brightened(picture, factor), factor, 0.0};
    result.luminance = relative_luminance(result.picture);
    bool was_below = result.luminance < aim;
    for (int at = 0; at < most_steps && std::abs(result.luminance - aim) >= tolerance; ++at) {
        const bool is_below = result.luminance < aim;
        if (is_below != was_below) step /= 2.0;
        was_below = is_below;
        factor = std::max(0.0, factor + (is_below ? step : -step));
        result = {brightened(picture, factor), factor, 0.0};
        result.luminance = relative_luminance(result.picture);
    }
    return result;
}

}  // namespace twinscreen
