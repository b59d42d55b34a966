#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "engine/config/section.hpp"
#include "experiments/relational_control/generative/code_search.hpp"
#include "experiments/relational_control/generative/complexity.hpp"
#include "experiments/relational_control/generative/image_generator.hpp"

namespace twinscreen {

/// Generative control (Gifford, Jastrzebowska, Singer & Cichy 2024).
struct GenerativeSettings {
    std::uint32_t evolutions = 10;    ///< chains that differ in their draws only
    std::uint32_t generations = 500;  ///< of a chain
    double margin = 0.6;              ///< beyond the baseline, in units of the mean response
    ComplexityMeasure complexity = ComplexityMeasure::entropy;
    CodeSearchSettings search;    ///< length, seed and chain are set chain by chain
    std::uint32_t elements = 16;  ///< Gabors of a picture, where no network makes it
    /// A network as the generator; null: Gabors. Settings are copied, networks are not.
    std::shared_ptr<ImageGenerator> network;

    /// What results depend on.
    std::string text() const;
};

/// Reads `[relational_control.generative]`; mistakes are complained of in the section.
GenerativeSettings read_generative(ConfigSection section);

}  // namespace twinscreen
