#include "engine/twin/bundle.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <utility>

#include "engine/base/digest.hpp"
#include "engine/config/csv.hpp"
#include "engine/config/limits.hpp"
#include "engine/twin/families.hpp"
#include "engine/twin/field_readout.hpp"
#include "engine/twin/graph/graph.hpp"
#include "engine/twin/graph/limits.hpp"
#include "engine/twin/graph/untrained_weights.hpp"
#include "engine/twin/load_bundle.hpp"
#include "engine/twin/model_format.hpp"

namespace twinscreen {

namespace fs = std::filesystem;

namespace {

constexpr std::int64_t bundle_format = 1;

/// The files of a bundle. Each is read once: what is digested is what is used.
class BundleFolder {
public:
    BundleFolder(const fs::path& folder, SharedReads& reads) : folder_(folder), reads_(reads) {}

    FileContent file(const std::string& name, std::uint64_t most) const
    {
        return reads_.file(folder_ / name, most, Links::refuse);
    }
    std::string description() const
    {
        std::error_code ignored;
        TWINSCREEN_REQUIRE(fs::exists(fs::symlink_status(folder_ / "twin.toml", ignored)), data,
                           "{}: cannot be read (a bundle is a folder with twin.toml)",
                           (folder_ / "twin.toml").string());
        return std::string(file("twin.toml", largest_config).text());
    }

private:
    const fs::path& folder_;
    SharedReads& reads_;
};

/// A file that twin.toml names: it lies in the bundle's folder, not elsewhere.
std::string member_name(ConfigSection& root, const std::string& key)
{
    const Rule<std::string> in_folder{[](const std::string& name) {
                                          return !name.empty() && name != "." && name != ".." &&
                                                 name.find_first_of("/\\$") == std::string::npos;
                                      },
                                      "the name of a file in the bundle's folder, not a path"};
    const std::string name = root.require<std::string>(key, "", in_folder);
    if (name.empty()) return {};
    const auto format = foreign_model(fs::path(name));
    if (format && key == "weights") {
        root.complain(key, fmt::format("{} = \"{}\" {}", key, name, refusal_of(*format)),
                      convert_hint);
        return {};
    }
    root.require_existing_path(key);
    return name;
}

/// Reads `[stimulus.<property>] value, source` and notes both in the table of facts.
class FactReader {
public:
    explicit FactReader(ConfigSection section) : section_(std::move(section)) {}

    template <class T>
    T read(const std::string& property, const std::string& unit, const Rule<T>& rule)
    {
        ConfigSection fact = section_.child(property);
        const T value = fact.require<T>("value", unit, rule);
        note(property, value, fact.require<std::string>("source"));
        fact.reject_unknown_keys();
        return value;
    }
    /// NaN where the value is the text "unknown".
    double read_or_unknown(const std::string& property, const std::string& unit,
                           const Rule<double>& rule)
    {
        if (!section_.child(property).holds_text("value")) return read(property, unit, rule);
        read<std::string>(
            property, "",
            {[](const std::string& text) { return text == "unknown"; }, "a number or \"unknown\""});
        return std::numeric_limits<double>::quiet_NaN();
    }
    void note(const std::string& property, const auto& value, const std::string& source)
    {
        properties_.push_back(property);
        if constexpr (requires { value.begin(); } &&
                      !std::is_convertible_v<decltype(value), std::string>)
            values_.push_back(fmt::format("{}", fmt::join(value, ", ")));
        else
            values_.push_back(fmt::format("{}", value));
        sources_.push_back(source);
    }
    Table facts() &&
    {
        section_.reject_unknown_keys();
        Table table;
        table.columns = {{"property", "", std::move(properties_)},
                         {"value", "", std::move(values_)},
                         {"source", "", std::move(sources_)}};
        return table;
    }

private:
    ConfigSection section_;
    std::vector<std::string> properties_;
    std::vector<std::string> values_;
    std::vector<std::string> sources_;
};

InputTransform::Fit fit_named(const std::string& name)
{
    if (name == "exact") return InputTransform::Fit::exact;
    if (name == "stretch") return InputTransform::Fit::stretch;
    if (name == "crop") return InputTransform::Fit::crop;
    return InputTransform::Fit::cover;
}

/// Finite, also once it is a float.
bool is_float(double value) { return std::abs(value) <= std::numeric_limits<float>::max(); }

std::vector<float> narrowed(const std::vector<double>& values)
{
    return {values.begin(), values.end()};
}

Rule<std::string> one_of_rule(std::vector<std::string> names)
{
    const std::string text = fmt::format("one of {}", fmt::join(names, ", "));
    return {[names = std::move(names)](const std::string& value) {
                return std::find(names.begin(), names.end(), value) != names.end();
            },
            text};
}

/// The transform and the facts about the stimulus: each with its source.
void read_stimulus(ConfigSection section, std::optional<double> degrees_per_pixel,
                   BundleDescription& bundle)
{
    FactReader facts(std::move(section));
    InputTransform& transform = bundle.transform;
    const auto side = in_range<std::int64_t>(1, 8192);
    transform.channels = static_cast<int>(facts.read("channels", "", in_range<std::int64_t>(1, 3)));
    transform.height = static_cast<int>(facts.read("height", "pixels", side));
    transform.width = static_cast<int>(facts.read("width", "pixels", side));
    transform.fit = fit_named(
        facts.read<std::string>("fit", "", one_of_rule({"exact", "stretch", "cover", "crop"})));
    const auto filter = facts.read<std::string>("filter", "", any_value<std::string>());
    if (!filter.empty()) transform.filter = resize_filter_named(filter);
    transform.channels_last =
        facts.read<std::string>("layout", "", one_of_rule({"channels_last", "channels_first"})) ==
        "channels_last";
    const auto channels = static_cast<std::size_t>(transform.channels);
    const Rule<std::vector<double>> per_channel{
        [=](const std::vector<double>& values) {
            for (const double value : values)
                if (!is_float(value)) return false;
            return values.size() == channels;
        },
        fmt::format("{} finite numbers, one per channel", channels)};
    transform.mean = narrowed(facts.read("mean", "0..255", per_channel));
    Rule<std::vector<double>> nonzero = per_channel;
    nonzero.holds = [per_channel](const std::vector<double>& values) {
        for (const double value : values)
            if (!(static_cast<float>(value) > 0.0F)) return false;
        return per_channel.holds(values);
    };
    nonzero.text += " above 0";
    transform.scale = narrowed(facts.read("scale", "0..255", nonzero));
    transform.background =
        static_cast<float>(facts.read("background", "0..255", in_range(0.0, 255.0)));
    facts.read<std::string>("luminance_range", "", any_value<std::string>());
    facts.read<std::string>("frame_rate", "", any_value<std::string>());
    transform.degrees_per_pixel = facts.read_or_unknown("degrees_per_pixel", "deg", above(0.0));
    if (degrees_per_pixel) {
        TWINSCREEN_REQUIRE(std::isnan(transform.degrees_per_pixel), config,
                           "bundle '{}' states {:g} degrees per pixel itself; remove "
                           "degrees_per_pixel from the campaign",
                           bundle.spec.name, transform.degrees_per_pixel);
        transform.degrees_per_pixel = *degrees_per_pixel;
        facts.note("degrees_per_pixel of this campaign", *degrees_per_pixel, "campaign");
    }
    bundle.spec.stimulus_facts = std::move(facts).facts();
}

/// What the family's networks tap: a map, or whatever any network computes.
Rule<std::vector<std::int64_t>> tap_shape_rule(bool is_any)
{
    const std::size_t least = is_any ? 1 : 3;
    const std::size_t most = is_any ? 5 : 3;
    const std::int64_t largest = is_any ? std::numeric_limits<std::int32_t>::max() : 65536;
    return {
        [=](const std::vector<std::int64_t>& extents) {
            for (const std::int64_t extent : extents)
                if (extent < 1 || extent > largest) return false;
            return extents.size() >= least && extents.size() <= most;
        },
        is_any ? "1 to 5 extents of at least 1" : "[height, width, channels], each in 1..65536"};
}

NetworkTap read_tap(ConfigSection& section, bool is_any)
{
    NetworkTap tap{section.require<std::string>("tap"), {}};
    const auto shape =
        section.require<std::vector<std::int64_t>>("tap_shape", "", tap_shape_rule(is_any));
    tap.row.rank = static_cast<int>(shape.size());
    std::copy(shape.begin(), shape.end(), tap.row.extent.begin());
    return tap;
}

/// The tap of the entry, or those of its [[networks.taps]], which some readouts of any network
/// have.
std::vector<NetworkTap> read_taps(ConfigSection& section, const std::string& readout, bool is_any)
{
    const bool reads_maps = is_any && is_field_readout(readout);
    std::vector<NetworkTap> taps;
    if (is_any && section.has("taps")) {
        for (ConfigSection& tap : section.children("taps")) {
            taps.push_back(read_tap(tap, is_any));
            tap.reject_unknown_keys();
        }
        if (taps.empty()) section.complain("taps", "taps is empty");
        if (!reads_maps && readout != "dense" && taps.size() > 1)
            section.complain("taps", fmt::format("readout '{}' reads one tap", readout));
        for (const char* key : {"tap", "tap_shape"})
            if (section.has(key)) section.complain(key, "the taps are in [[networks.taps]]");
    } else {
        taps.push_back(read_tap(section, is_any));
    }
    const char* shapes = section.has("taps") ? "taps" : "tap_shape";
    std::set<std::string> seen;
    for (const NetworkTap& tap : taps) {
        if (!tap.name.empty() && !seen.insert(tap.name).second)
            section.complain("taps", fmt::format("tap '{}' is listed twice", tap.name));
        if (reads_maps && tap.row.rank != 3 && tap.row.rank != 0)
            section.complain(shapes,
                             fmt::format("readout '{}' reads maps [channels, height, width], tap "
                                         "'{}' has shape {}",
                                         readout, tap.name, tap.row.text()));
    }
    return taps;
}

/// Those of any network; the other families say themselves what they have.
Rule<std::string> readout_rule(bool is_any)
{
    if (!is_any) return any_value<std::string>();
    std::vector<std::string> names = {"identity", "dense"};
    names.insert(names.end(), field_readouts().begin(), field_readouts().end());
    return one_of_rule(std::move(names));
}

std::vector<NetworkEntry> read_networks(ConfigSection& root, bool is_any)
{
    std::vector<NetworkEntry> networks;
    for (ConfigSection& section : root.children("networks")) {
        NetworkEntry network;
        network.prefix = section.get_or<std::string>("prefix", "");
        network.readout = section.require<std::string>("readout", "", readout_rule(is_any));
        network.taps = read_taps(section, network.readout, is_any);
        if (!network.taps.empty()) {
            network.tap = network.taps.front().name;
            network.tap_row = network.taps.front().row;
        }
        if (network.readout == "dense") network.features = read_tap_features(section);
        network.units = section.require<std::int64_t>(
            "units", "", in_range<std::int64_t>(1, std::numeric_limits<std::int32_t>::max()));
        section.reject_unknown_keys();
        networks.push_back(std::move(network));
    }
    if (networks.empty()) root.complain("networks", "the bundle holds no [[networks]]");
    return networks;
}

/// The columns every unit table has, with their unit.
const std::vector<std::pair<std::string, std::string>> common_columns = {
    {"id", ""},   {"subject", ""}, {"area", ""}, {"heldout_r", ""}, {"noise_ceiling", ""},
    {"x", "deg"}, {"y", "deg"}};

Table read_units(const FileContent& content, const BundleDescription& bundle)
{
    const fs::path& file = content.path;
    Table units = read_csv(content);
    for (std::size_t column = 0; column < common_columns.size(); ++column) {
        const auto& [name, unit] = common_columns[column];
        TableColumn* found = units.find(name);
        TWINSCREEN_REQUIRE(found != nullptr, data,
                           "{}: has no column '{}' (a unit table has id, "
                           "subject, area, heldout_r, noise_ceiling, x and y)",
                           file.string(), name);
        found->unit = unit;
        const bool wants_text = column < 3;
        if (wants_text && !found->is_text()) {
            // "190923" and "0" are names here, whatever they look like
            std::vector<std::string> texts;
            for (std::size_t row = 0; row < units.rows(); ++row) {
                const double code = units.number(name, row);
                texts.push_back(std::isnan(code) ? "" : fmt::format("{:.17g}", code));
            }
            found->values = std::move(texts);
        }
        TWINSCREEN_REQUIRE(wants_text || !found->is_text(), data,
                           "{}: column '{}' holds texts, expected numbers", file.string(), name);
    }
    std::int64_t expected = 0;
    for (const NetworkEntry& network : bundle.networks) expected += network.units;
    TWINSCREEN_REQUIRE(static_cast<std::int64_t>(units.rows()) == expected, data,
                       "{}: lists {} units, the networks of bundle '{}' have {}", file.string(),
                       units.rows(), bundle.spec.name, expected);
    return units;
}

/// Names in the bundle's folder.
struct BundleFiles {
    std::string weights;
    std::string units;
    std::string graph;    ///< of the family "graph" only
    std::string package;  ///< of the family "package" only
    std::string samples;  ///< of both
};

/// Everything of twin.toml; throws one Error that lists all its mistakes.
BundleFiles read_description(const std::string& text, const fs::path& folder,
                             std::optional<double> degrees_per_pixel, BundleDescription& bundle)
{
    ConfigDocument document = ConfigDocument::parse(text, (folder / "twin.toml").string(), folder);
    ConfigSection root = document.root();
    root.require<std::int64_t>("format", "",
                               {[](const std::int64_t& value) { return value == bundle_format; },
                                fmt::format("{}; convert the bundle again", bundle_format)});
    bundle.spec.name = root.require<std::string>("name");
    bundle.spec.family = root.require<std::string>(
        "family", "", one_of_rule({"v4_compact", "sensorium", "graph", "package"}));
    bundle.spec.response_unit = root.require<std::string>("response_unit");
    bundle.spec.licence = root.require<std::string>("licence");
    bundle.spec.citation = root.require<std::string>("citation");
    BundleFiles files{member_name(root, "weights"), member_name(root, "units"), {}, {}, {}};
    const bool is_graph = bundle.spec.family == "graph";
    const bool is_package = bundle.spec.family == "package";
    if (is_graph) files.graph = member_name(root, "graph");
    if (is_package) {
        ConfigSection package = root.child("package");
        files.package = member_name(package, "file");
        bundle.package = read_package(package);
    }
    if (is_graph || is_package) {
        files.samples = member_name(root, "samples");
    } else {
        bundle.batch_norm_epsilon = root.require<double>("batch_norm_epsilon", "", above(0.0));
        bundle.hidden_elu = root.get_or("hidden_elu", false);
    }
    for (ConfigSection& section : root.children("covariates")) {
        bundle.covariates.push_back(
            {section.require<std::string>("name"),
             section.require<std::int64_t>("extent", "", in_range<std::int64_t>(1, 64)),
             section.get_or<std::string>("unit", "")});
        section.reject_unknown_keys();
    }
    bundle.networks = read_networks(root, is_graph || is_package);
    read_stimulus(root.child("stimulus"), degrees_per_pixel, bundle);
    root.reject_unknown_keys();
    document.throw_if_invalid();
    return files;
}

std::vector<TwinPart> parts_of(const BundleDescription& bundle,
                               const std::optional<TrustedCode>& code,
                               const SafetensorsFile& tensors, Precision precision)
{
    if (code) return package_parts(bundle, *code, tensors, precision);
    if (bundle.spec.family == "graph") return graph_parts(bundle, tensors, precision);
    const WeightReader weights(bundle.spec.name, tensors);
    return bundle.spec.family == "v4_compact" ? v4_compact_parts(bundle, weights, precision)
                                              : sensorium_parts(bundle, weights, precision);
}

/// The weights as trained, or drawn anew for a network of the same shape.
SafetensorsFile weights_of(const BundleDescription& bundle, SafetensorsFile trained,
                           std::optional<std::uint64_t> untrained)
{
    if (!untrained) return trained;
    TWINSCREEN_REQUIRE(bundle.spec.family == "graph", config,
                       "untrained networks exist for the family \"graph\" only, bundle '{}' is of "
                       "family \"{}\"",
                       bundle.spec.name, bundle.spec.family);
    return untrained_weights(trained, read_graph(bundle.graph_file, bundle.graph_text), *untrained);
}

/// What says which units there are. Accuracy and ceiling are results about them: when they become
/// known, the twin still computes the same and its stores go on.
void add_unit_facts(const Table& units, Digest& digest)
{
    for (const TableColumn& column : units.columns) {
        if (column.name == "heldout_r" || column.name == "noise_ceiling") continue;
        digest.add(column.name);
        for (std::size_t row = 0; row < units.rows(); ++row)
            if (column.is_text())
                digest.add(units.text(column.name, row));
            else
                digest.add(units.number(column.name, row));
    }
}

}  // namespace

LoadedBundle open_bundle(const fs::path& folder, Precision precision, SharedReads& reads,
                         std::optional<double> degrees_per_pixel,
                         std::optional<std::uint64_t> untrained, const TrustedDigests& trusted)
{
    BundleDescription bundle;
    const BundleFolder members(folder, reads);
    try {
        const std::string description = members.description();
        const BundleFiles files = read_description(description, folder, degrees_per_pixel, bundle);
        if (!files.graph.empty()) {
            bundle.graph_file = (folder / files.graph).string();
            bundle.graph_text = members.file(files.graph, largest_graph).text();
        }
        std::optional<TrustedCode> code;
        if (!files.package.empty())
            code.emplace(members.file(files.package, any_size), text_of(bundle.package.format),
                         trusted);
        const SafetensorsFile weights =
            weights_of(bundle, SafetensorsFile(members.file(files.weights, any_size)), untrained);
        bundle.units = read_units(members.file(files.units, largest_table), bundle);
        LoadedBundle loaded;
        Twin& twin = loaded.twin;
        twin.parts = parts_of(bundle, code, weights, precision);
        twin.spec = std::move(bundle.spec);
        twin.units = std::move(bundle.units);
        Digest digest;
        digest.add(description);
        if (!bundle.graph_text.empty()) digest.add(bundle.graph_text);
        if (code) digest.add(code->sha256());
        add_unit_facts(twin.units, digest);
        digest.add(twin.parts.front().backbone->input().text()).add_bytes(weights.data());
        twin.spec.digest = digest.hex();
        twin.spec.source = {folder, twin.spec.digest, degrees_per_pixel, untrained};
        if (!files.samples.empty()) loaded.samples = folder / files.samples;
        return loaded;
    } catch (Error& error) {
        error.add_context(fmt::format("while loading the bundle {}", folder.string()));
        throw;
    }
}

Twin load_bundle(const fs::path& folder, Precision precision, const TrustedDigests& trusted)
{
    SharedReads reads;
    return open_bundle(folder, precision, reads, {}, {}, trusted).twin;
}

}  // namespace twinscreen
