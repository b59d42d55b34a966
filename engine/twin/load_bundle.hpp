#pragma once

#include <filesystem>
#include <optional>

#include "engine/twin/twin.hpp"

namespace twinscreen {

/// load_bundle with a campaign's value for what a bundle leaves unknown; refuses to override a
/// value that the bundle states.
Twin load_bundle(const std::filesystem::path& folder, Precision precision,
                 std::optional<double> degrees_per_pixel);

}  // namespace twinscreen
