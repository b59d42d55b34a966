#include "experiments/relational_control/patterns.hpp"

#include <algorithm>

#include "experiments/relational_control/response_stage.hpp"

namespace twinscreen {

FloatRows Patterns::rows(const Population& population, std::size_t first, std::size_t count,
                         std::vector<float>& room) const
{
    const std::size_t width = population.units.size();
    const float* start = values + images[first] * columns + population.first_column;
    if (count == 0 || images[first + count - 1] - images[first] == count - 1)
        return {start, count, width, columns};
    room.resize(count * width);
    for (std::size_t item = 0; item < count; ++item)
        std::copy_n(values + images[first + item] * columns + population.first_column, width,
                    room.begin() + static_cast<std::ptrdiff_t>(item * width));
    return {room.data(), count, width, width};
}

Patterns read_patterns(const Study& study, const StageHistory& history)
{
    Patterns patterns;
    patterns.values = static_cast<const float*>(
        history.map(ResponseStage::stage_name, ResponseStage::pattern_column).data);
    patterns.columns = study.columns();
    const OwnedBatch stored =
        history.read(ResponseStage::stage_name, ResponseStage::usable_column, 0,
                     history.items(ResponseStage::stage_name));
    const auto usable = stored.values<std::uint8_t>();
    const std::size_t width = study.populations.size();
    for (std::uint32_t image = 0; image < usable.size() / width; ++image)
        if (std::ranges::all_of(usable.subspan(image * width, width),
                                [](std::uint8_t is) { return is == 1; }))
            patterns.images.push_back(image);
    return patterns;
}

}  // namespace twinscreen
