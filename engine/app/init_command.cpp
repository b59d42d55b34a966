#include <fstream>
#include <iostream>

#include "engine/app/commands.hpp"
#include "engine/base/error.hpp"
#include "engine/config/section.hpp"
#include "experiments/experiments.hpp"

namespace twinscreen {

int init_command(const std::string& experiment, const std::filesystem::path& file, bool overwrite)
{
    const ExperimentRegistry registry = known_experiments();
    const auto* entry = registry.find(experiment);
    if (entry == nullptr) {
        std::vector<std::string> names;
        for (const auto& known : registry.entries()) names.push_back(known.name);
        const auto nearest = nearest_word(experiment, names);
        throw Error(Error::Kind::config, fmt::format("unknown experiment '{}'", experiment),
                    nearest ? fmt::format("did you mean '{}'?", *nearest)
                            : "twinscreen list shows the experiments");
    }
    const std::filesystem::path target =
        file.empty() ? std::filesystem::path(experiment + ".toml") : file;
    TWINSCREEN_REQUIRE(overwrite || !std::filesystem::exists(target), config,
                       "{} exists already (--overwrite replaces it)", target.string());
    std::ofstream stream(target, std::ios::binary);
    stream << entry->example;
    stream.close();
    TWINSCREEN_REQUIRE(stream.good(), config, "{}: cannot be written", target.string());
    std::cout << "wrote " << target.string() << "; try:\n  twinscreen plan " << target.string()
              << "\n  twinscreen run " << target.string() << "\n";
    return 0;
}

}  // namespace twinscreen
