#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "engine/base/types.hpp"

namespace twinscreen {

/// Recorded responses of neurons to the items of a campaign, with or without repeats.
struct Recording {
    std::size_t neurons = 0;
    std::size_t items = 0;
    std::size_t repeats = 1;
    std::vector<double> values;  ///< [neurons, items, repeats], NaN = missing
    std::string digest;          ///< of the values as they lie in the file

    double at(std::size_t neuron, std::size_t item, std::size_t repeat = 0) const
    {
        return values[(neuron * items + item) * repeats + repeat];
    }
};

/// Reads a .npy array of floats, whole: recordings are small beside stimuli.
///
/// layout  "units,items", "items,units", "units,items,repeats" or "items,units,repeats"; empty: by
///         the number of items, where that is unambiguous
/// items   what the array must have responses to, as many: stimuli of the campaign (before a
///         limit), or `items_are`
/// missing  what a NaN in a recording without repeats is
/// Throws Error(data) for a file that does not fit, has infinite values, or NaN that is refused.
enum class Missing { refuse, keep };
Recording read_recording(const std::filesystem::path& file, const std::string& layout,
                         std::uint64_t items, Missing missing = Missing::refuse,
                         const char* items_are = "stimuli");

/// Values as they lie in a file, of any type but u64 and bf16.
std::vector<double> doubles_of(const std::vector<std::byte>& bytes, ElementType type);

}  // namespace twinscreen
