#include <algorithm>
#include <cstdlib>
#include <set>

#include "engine/base/digest.hpp"
#include "engine/config/row_filter.hpp"
#include "engine/twin/bundle.hpp"
#include "engine/twin/families.hpp"
#include "engine/twin/load_bundle.hpp"
#include "engine/twin/model_format.hpp"
#include "engine/twin/twin_of_taps.hpp"

namespace twinscreen {

namespace fs = std::filesystem;

namespace {

/// The bundle's folder: relative to the campaign, else in ${TWINSCREEN_BUNDLES} under the relative
/// path, else there under its last name.
std::optional<fs::path> bundle_folder(ConfigSection& section)
{
    const std::optional<fs::path> named = section.path("bundle");
    if (!named) return std::nullopt;
    std::error_code ignored;
    if (fs::is_directory(*named, ignored)) return named;
    if (const auto format = foreign_model(*named)) {
        section.complain(
            "bundle", fmt::format("{} {}", named->lexically_normal().string(), refusal_of(*format)),
            convert_hint);
        return std::nullopt;
    }
    const std::string text = section.require<std::string>("bundle");
    const char* shelf = std::getenv("TWINSCREEN_BUNDLES");
    const std::string last = fs::path(text).filename().string();
    if (shelf != nullptr && fs::path(text).is_relative() && !last.empty())
        for (const std::string& below : {text, last})
            if (fs::is_directory(fs::path(shelf) / below, ignored)) return fs::path(shelf) / below;
    section.complain(
        "bundle",
        fmt::format("no bundle folder {}{}", named->lexically_normal().string(),
                    shelf == nullptr ? "" : fmt::format(", nor {} in {}", last, shelf)),
        "cluster/quickstart.sh converts the published models into results/bundles; the scripts in "
        "engine/twin/converters do it one by one; TWINSCREEN_BUNDLES may name the folder that "
        "holds the bundles");
    return std::nullopt;
}

/// Rows whose cell of the text column is in the list that the campaign gives under `key`.
void keep_named(ConfigSection& section, const std::string& key, const std::string& column,
                const Table& units, std::vector<bool>& keep)
{
    if (!section.has(key)) return;
    const auto wanted = section.require<std::vector<std::string>>(key);
    std::set<std::string> known;
    for (std::size_t row = 0; row < units.rows(); ++row) known.insert(units.text(column, row));
    for (const std::string& name : wanted)
        if (known.count(name) == 0) {
            const auto nearest = nearest_word(name, {known.begin(), known.end()});
            section.complain(key,
                             fmt::format("the twin has no {} '{}' (it has {})", column, name,
                                         fmt::join(known, ", ")),
                             nearest ? fmt::format("did you mean '{}'?", *nearest) : "");
        }
    for (std::size_t row = 0; row < units.rows(); ++row)
        if (std::find(wanted.begin(), wanted.end(), units.text(column, row)) == wanted.end())
            keep[row] = false;
}

void keep_wanted_units(ConfigSection& section, Twin& twin)
{
    std::vector<bool> keep(twin.units.rows(), true);
    keep_named(section, "subjects", "subject", twin.units, keep);
    keep_named(section, "areas", "area", twin.units, keep);
    const auto expression = section.get_or<std::string>("units", "");
    if (section.has_mistakes()) return;
    std::vector<std::size_t> rows;
    try {
        for (const std::size_t row : filter_rows(twin.units, expression))
            if (keep[row]) rows.push_back(row);
    } catch (const Error& error) {
        section.complain("units", error.what());
        return;
    }
    if (rows.empty()) {
        section.complain(section.has("units") ? "units" : "subjects",
                         fmt::format("keeps none of the {} units of twin '{}'", twin.units.rows(),
                                     twin.spec.name));
        return;
    }
    keep_units(twin, rows);
}

/// `subject` and `area` of the campaign name all units of the twin anew: sessions of one animal as
/// subjects, areas of two species by different names.
void rename_units(ConfigSection& section, Twin& twin)
{
    for (const char* column : {"subject", "area"}) {
        if (!section.has(column)) continue;
        const auto name = section.require<std::string>(column);
        twin.units.find(column)->values = std::vector<std::string>(twin.units.rows(), name);
        twin.spec.digest = Digest{}.add(twin.spec.digest).add(column).add(name).hex();
    }
}

/// `taps` of the campaign make features of nodes the units of the twin.
void read_taps_instead(ConfigSection& section, Twin& twin, Precision precision)
{
    const TapSelection selection{section.require<std::vector<std::string>>("taps"),
                                 read_tap_features(section)};
    if (selection.taps.empty())
        section.complain("taps", "taps is empty: the twin would have no units");
    try {
        twin = twin_of_taps(std::move(twin), selection, precision);
    } catch (const Error& error) {
        section.complain("taps", error.what());
    }
}

Twin twin_of(ConfigSection& section, Precision precision)
{
    std::vector<std::string> analytic = {"gabor_energy"};
    if (section.has("bundle")) {
        if (section.has("family"))
            section.complain("family", "a bundle names its own family",
                             "remove either 'bundle' or 'family'");
        std::optional<double> degrees_per_pixel;
        if (section.has("degrees_per_pixel"))
            degrees_per_pixel = section.require<double>("degrees_per_pixel", "deg", above(0.0));
        std::optional<std::uint64_t> untrained;
        if (section.has("untrained"))
            untrained = static_cast<std::uint64_t>(section.require<std::int64_t>(
                "untrained", "(number of the draw)", in_range<std::int64_t>(1, 1 << 30)));
        const TrustedDigests trusted =
            section.has("trusted_sha256")
                ? section.require<TrustedDigests>("trusted_sha256", "", digests_rule())
                : TrustedDigests{};
        const std::optional<fs::path> folder = bundle_folder(section);
        if (!folder || section.has_mistakes()) return {};
        try {
            Twin twin = open_bundle(*folder, precision, section.reads(), degrees_per_pixel,
                                    untrained, trusted)
                            .twin;
            if (!trusted.empty() && twin.spec.family != "package")
                section.complain("trusted_sha256",
                                 fmt::format("twin '{}' of family \"{}\" holds no program to trust",
                                             twin.spec.name, twin.spec.family),
                                 "remove the line");
            return twin;
        } catch (const UntrustedCode& code) {
            section.complain(trusted.empty() ? "bundle" : "trusted_sha256", code.what());
            return {};
        } catch (const Error& error) {
            if (error.kind() != Error::Kind::config) throw;
            section.complain("bundle", error.what());
            return {};
        }
    }
    if (!section.has("family")) {
        section.complain("family",
                         "a twin needs 'bundle' (a folder) or 'family' (an analytic twin)",
                         "analytic families: gabor_energy");
        return {};
    }
    section.one_of("family", analytic.front(), analytic);
    if (section.has_mistakes()) return {};
    return gabor_energy_twin(section, precision);
}

}  // namespace

Twin make_twin(ConfigSection& section, Precision precision)
{
    Twin twin = twin_of(section, precision);
    const auto name = section.get_or<std::string>("name", twin.spec.name);
    if (!twin.parts.empty()) {
        twin.spec.name = name;
        // The values are the campaign's business; naming the keys here makes them known.
        for (const TwinPart& part : twin.parts)
            for (const Axis& covariate : part.backbone->covariates())
                static_cast<void>(section.has(covariate.name));
        if (section.has("taps")) read_taps_instead(section, twin, precision);
        if (!section.has_mistakes()) keep_wanted_units(section, twin);
        if (!section.has_mistakes()) rename_units(section, twin);
        section.reject_unknown_keys();
    }
    if (section.has_mistakes()) return {};
    return twin;
}

const std::vector<TwinFamily>& twin_families()
{
    static const std::vector<TwinFamily> families = {
        {"gabor_energy",
         "analytic V1 population: Gabor quadrature pairs, divisive normalisation; no files"},
        {"v4_compact", "compact networks of macaque V4 neurons (bundle)"},
        {"graph", "any feed-forward network, as a list of operators (bundle)"},
        {"package",
         "any network on images as a program of PyTorch's, by its SHA-256 (bundle; TorchScript or "
         "AOTInductor)"},
        {"sensorium", "SENSORIUM 2022 networks of mouse V1, with or without behaviour (bundle)"},
    };
    return families;
}

}  // namespace twinscreen
