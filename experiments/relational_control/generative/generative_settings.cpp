#include "experiments/relational_control/generative/generative_settings.hpp"

namespace twinscreen {
namespace {

std::uint32_t read_count(ConfigSection& section, const char* key, std::uint32_t fallback,
                         const char* unit, std::int64_t least, std::int64_t most)
{
    return static_cast<std::uint32_t>(
        section.get_or<std::int64_t>(key, fallback, unit, in_range(least, most)));
}

void read_search(ConfigSection& section, CodeSearchSettings& search)
{
    search.optimiser = section.one_of("optimiser", "genetic", {"genetic", "cma_es"}) == "genetic"
                           ? CodeOptimiser::genetic
                           : CodeOptimiser::cma_es;
    search.codes = read_count(section, "codes", search.codes, "codes", 4, most_codes);
    search.kept = section.get_or<double>("kept", search.kept, "", in_range(0.0, 1.0));
    search.heritability =
        section.get_or<double>("heritability", search.heritability, "", in_range(0.0, 1.0));
    search.mutation_probability = section.get_or<double>(
        "mutation_probability", search.mutation_probability, "", in_range(0.0, 1.0));
    search.mutation_sd =
        section.get_or<double>("mutation_sd", search.mutation_sd, "", in_range(0.0, 1e3));
    if (search.survivors() < 1 || search.children() < 2)
        section.complain("kept", fmt::format("of {} codes, {} are kept and {} replaced: at least 1 "
                                             "is to be kept and 2 replaced",
                                             search.codes, search.survivors(), search.children()));
}

std::shared_ptr<ImageGenerator> read_network(ConfigSection& section)
{
    const auto scale =
        section.get_or<double>("pixel_scale", 1.0, "grey levels", in_range(-1e6, 1e6));
    const auto offset =
        section.get_or<double>("pixel_offset", 0.0, "grey level", in_range(-1e6, 1e6));
    if (!section.has("network")) return nullptr;
    ConfigSection network = section.child("network");
    std::shared_ptr<ImageGenerator> generator = make_network_generator(network, scale, offset);
    if (generator && generator->code_length() > longest_code)
        network.complain("bundle", fmt::format("its codes have {} numbers, more than {}",
                                               generator->code_length(), longest_code));
    return generator;
}

}  // namespace

std::string GenerativeSettings::text() const
{
    return fmt::format(
        "{} evolutions, {} generations, margin {}, complexity {}, optimiser {}, {} codes, kept {}, "
        "heritability {}, mutation {} x {}",
        evolutions, generations, margin, static_cast<int>(complexity),
        static_cast<int>(search.optimiser), search.codes, search.kept, search.heritability,
        search.mutation_probability, search.mutation_sd);
}

GenerativeSettings read_generative(ConfigSection section)
{
    GenerativeSettings settings;
    settings.evolutions = read_count(section, "evolutions", settings.evolutions, "", 1, 10'000);
    settings.generations =
        read_count(section, "generations", settings.generations, "", 1, 1'000'000);
    settings.margin =
        section.get_or<double>("margin", settings.margin, "mean response", in_range(0.0, 1e10));
    settings.complexity = section.one_of("complexity", "entropy", {"entropy", "png"}) == "entropy"
                              ? ComplexityMeasure::entropy
                              : ComplexityMeasure::png;
    read_search(section, settings.search);
    settings.elements = read_count(section, "elements", settings.elements, "Gabors", 1,
                                   longest_code / gabor_code_length);
    settings.network = read_network(section);
    section.reject_unknown_keys();
    return settings;
}

}  // namespace twinscreen
