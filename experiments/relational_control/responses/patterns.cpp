#include "experiments/relational_control/responses/patterns.hpp"

#include <algorithm>

#include "experiments/relational_control/responses/response_stage.hpp"

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
    const OwnedBatch stored = history.read(ResponseStage::stage_name, ResponseStage::usable_column,
                                           0, history.items(ResponseStage::stage_name));
    const auto usable = stored.values<std::uint8_t>();
    const std::size_t width = study.populations.size();
    patterns.missing = read_missing_responses(study, history);
    for (std::uint32_t image = 0; image < usable.size() / width; ++image) {
        const auto row = usable.subspan(image * width, width);
        if (std::ranges::all_of(row, [](std::uint8_t is) { return is == 1; }))
            patterns.images.push_back(image);
        for (std::size_t at = 0; at < width; ++at)
            patterns.missing.images[at] += row[at] == 1 ? 0U : 1U;
    }
    return patterns;
}

void require_items_for(const SearchSettings& search, const Patterns& patterns, const Study& study)
{
    const std::uint32_t least = least_items(search);
    TWINSCREEN_REQUIRE(patterns.items() >= least, data,
                       "{} images have a pattern in every population, and sets of {} need {}; {}",
                       patterns.items(), search.set_size, least, patterns.missing.worst(study));
}

}  // namespace twinscreen
