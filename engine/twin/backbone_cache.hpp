#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>

#include "engine/twin/backbone.hpp"
#include "engine/twin/twin.hpp"

namespace twinscreen {

/// Identity of a backbone: transform, precision, family settings and all weights.
///
/// settings  whatever else the family's arithmetic depends on, as text
std::string backbone_digest(const InputTransform& transform, Precision precision,
                            const std::string& settings,
                            std::span<const std::span<const std::byte>> weights);

/// The living backbone of this process with that digest, else the one that `make` builds.
/// Thread-safe.
std::shared_ptr<Backbone> shared_backbone(const std::string& digest,
                                          const std::function<std::shared_ptr<Backbone>()>& make);

}  // namespace twinscreen
