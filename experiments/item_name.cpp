#include "experiments/item_name.hpp"

namespace twinscreen {

std::string name_of_item(const StimulusSource& stimuli, std::uint64_t item)
{
    const Table described = stimuli.describe({ItemId{item}, 1});
    for (const char* column : {"file", "name"})
        if (const TableColumn* found = described.find(column); found != nullptr && found->is_text())
            if (!described.text(column, 0).empty())
                return fmt::format("item {} ({})", item, described.text(column, 0));
    return fmt::format("item {}", item);
}

}  // namespace twinscreen
