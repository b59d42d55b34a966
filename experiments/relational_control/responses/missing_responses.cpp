#include "experiments/relational_control/responses/missing_responses.hpp"

#include <algorithm>

#include "experiments/relational_control/responses/response_stage.hpp"

namespace twinscreen {

std::string MissingResponses::worst(const Study& study) const
{
    const auto most = std::ranges::max_element(images);
    const Population& population =
        study.populations[static_cast<std::size_t>(most - images.begin())];
    const auto first = units.begin() + static_cast<std::ptrdiff_t>(population.first_column);
    const auto last = first + static_cast<std::ptrdiff_t>(population.units.size());
    std::string sentence = fmt::format("area '{}' of subject '{}' lacks {} images",
                                       study.areas[population.area], population.subject, *most);
    const std::string why = missing_units({first, last}, study.units, population.first_column);
    if (why.empty()) return sentence + ": its pattern is constant";
    return fmt::format("{}: {}; [relational_control] units leaves units out", sentence, why);
}

std::string missing_units(std::span<const std::int32_t> counts, const Table& units,
                          std::size_t first_unit)
{
    const auto most = std::ranges::max_element(counts);
    if (*most == 0) return {};
    const auto& ids = std::get<std::vector<std::string>>(units.find("id")->values);
    const std::string unit =
        fmt::format("unit '{}' is NaN or infinite for {}",
                    ids[first_unit + static_cast<std::size_t>(most - counts.begin())], *most);
    const auto others =
        std::ranges::count_if(counts, [](std::int32_t count) { return count > 0; }) - 1;
    if (others == 0) return unit;
    return fmt::format("{}, {} other unit{} for as many or fewer", unit, others,
                       others == 1 ? "" : "s");
}

MissingResponses read_missing_responses(const Study& study, const StageHistory& history)
{
    const OwnedBatch stored =
        history.read(ResponseStage::stage_name, ResponseStage::missing_column, 0, 1);
    const auto units = stored.values<std::int32_t>();
    return {std::vector<std::size_t>(study.populations.size()), {units.begin(), units.end()}};
}

}  // namespace twinscreen
