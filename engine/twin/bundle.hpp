#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "engine/config/section.hpp"
#include "engine/twin/trusted_code.hpp"
#include "engine/twin/twin.hpp"

namespace twinscreen {

/// Loads twin.toml and its safetensors. Throws Error(data or config) that names the file.
/// trusted  SHA-256 digests of programs that may run (family "package")
/// Backbones that were already loaded with the same digest in this process are shared.
Twin load_bundle(const std::filesystem::path& folder, Precision precision = Precision::f32,
                 const TrustedDigests& trusted = {});

/// Loads a bundle and computes its samples again, where it has some. Returns what was found, a
/// sentence each. Throws Error(data) that lists every output that differs by more than 1e-4 of its
/// largest value.
std::vector<std::string> check_bundle(const std::filesystem::path& folder,
                                      const TrustedDigests& trusted = {});

/// A twin from one `[[twins]]` table: `bundle = FOLDER`, or `family = "gabor_energy"` with its
/// parameters; common keys: name, units (a filter over the unit table), subjects, areas.
/// `covariates` are read elsewhere. Mistakes are complained of in the section; then the result has
/// no parts. Relative bundle names are also looked for in ${TWINSCREEN_BUNDLES}.
Twin make_twin(ConfigSection& section, Precision precision = Precision::f32);

struct TwinFamily {
    std::string name;
    std::string summary;
};
const std::vector<TwinFamily>& twin_families();

/// What the nodes of a graph may compute: ATen's names, sorted.
std::vector<std::string> graph_operators();

/// Compute threads of the tensor library of this process. Results may depend on it.
void set_compute_threads(int threads);
/// What bits of forward passes depend on besides the plan: instruction set, library versions.
std::string numerics_fingerprint();

}  // namespace twinscreen
