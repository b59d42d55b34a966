#include "engine/twin/fitted_bundle.hpp"

#include <cstring>
#include <fstream>
#include <set>

#include <fmt/ranges.h>

#include "engine/base/read_file.hpp"
#include "engine/config/csv.hpp"
#include "engine/config/limits.hpp"
#include "engine/config/section.hpp"
#include "engine/config/toml_text.hpp"
#include "engine/twin/bundle.hpp"
#include "engine/twin/graph/graph.hpp"
#include "engine/twin/graph/limits.hpp"
#include "engine/twin/load_bundle.hpp"
#include "engine/twin/safetensors.hpp"
#include "engine/twin/safetensors_writer.hpp"

namespace twinscreen {

namespace fs = std::filesystem;

namespace {

/// The parts of the base bundle that the new one takes over.
struct Base {
    ConfigDocument document;
    ConfigSection root;
    SafetensorsFile weights;
    std::string graph_text;  ///< of the family graph
    std::string prefix;      ///< of the network's tensors

    explicit Base(const fs::path& folder)
        : document(ConfigDocument::parse(text_of(folder, "twin.toml", largest_config),
                                         (folder / "twin.toml").string(), folder)),
          root(document.root()),
          weights(read_whole(ReadFile(folder / root.require<std::string>("weights"), Links::refuse),
                             any_size))
    {
        if (root.has("graph"))
            graph_text = text_of(folder, root.require<std::string>("graph"), largest_graph);
        prefix = root.children("networks").front().get_or<std::string>("prefix", "");
    }

private:
    static std::string text_of(const fs::path& folder, const std::string& name, std::size_t most)
    {
        return read_text(ReadFile(folder / name, Links::refuse), most);
    }
};

/// Names of the tensors that the network itself takes.
std::set<std::string> network_tensors(const Twin& twin, const Base& base)
{
    std::set<std::string> names;
    if (twin.spec.family == "graph") {
        const Graph graph = read_graph("graph.json", base.graph_text);
        for (const GraphNode& node : graph.nodes)
            for (const auto& [argument, values] : node.inputs)
                names.insert(values.names.begin(), values.names.end());
        return names;
    }
    for (const auto& [name, view] : base.weights.tensors())
        if (name.starts_with(base.prefix + "layer")) names.insert(name);
    return names;
}

/// Prefix of the tensors of the readout.
std::string readout_prefix(const Twin& twin, const Base& base)
{
    return twin.spec.family == "graph" ? "fitted." : base.prefix;
}

void write_weights(const Twin& twin, const Base& base, const FittedReadout& fitted,
                   const fs::path& file)
{
    std::vector<TensorBytes> tensors;
    for (const std::string& name : network_tensors(twin, base)) {
        const auto found = base.weights.tensors().find(name);
        if (found == base.weights.tensors().end()) continue;  // a node
        tensors.push_back({name, found->second.type, found->second.shape, found->second.bytes});
    }
    std::vector<std::vector<float>> narrowed;
    for (const FittedReadout::Tensor& tensor : fitted.tensors)
        narrowed.emplace_back(tensor.values.begin(), tensor.values.end());
    for (std::size_t i = 0; i < narrowed.size(); ++i)
        tensors.push_back(
            {fmt::format("{}readout.{}", readout_prefix(twin, base), fitted.tensors[i].name),
             ElementType::f32, fitted.tensors[i].shape, std::as_bytes(std::span(narrowed[i]))});
    write_safetensors(file, tensors);
}

/// What the engine has read as text, as TOML again.
std::string fact_value(const std::string& property, const std::string& value)
{
    static const std::set<std::string> numbers{"channels", "height", "width", "background"};
    if (property == "mean" || property == "scale") return fmt::format("[{}]", value);
    const bool is_number =
        numbers.count(property) > 0 || (property == "degrees_per_pixel" && value != "unknown");
    return is_number ? value : toml_text(value);
}

/// [stimulus]; degrees per pixel that a campaign gave are the bundle's own from now on.
std::string stimulus_text(const Table& facts)
{
    constexpr const char* given = "degrees_per_pixel of this campaign";
    std::string text;
    std::string degrees;
    for (std::size_t row = 0; row < facts.rows(); ++row)
        if (facts.text("property", row) == given) degrees = facts.text("value", row);
    for (std::size_t row = 0; row < facts.rows(); ++row) {
        const std::string& property = facts.text("property", row);
        if (property == given) continue;
        const bool is_given = property == "degrees_per_pixel" && !degrees.empty();
        text += fmt::format("\n[stimulus.{}]\nvalue = {}\nsource = {}\n", property,
                            is_given ? degrees : fact_value(property, facts.text("value", row)),
                            toml_text(is_given ? "campaign" : facts.text("source", row)));
    }
    return text;
}

std::string features_text(const TapFeatures& features)
{
    std::string text;
    if (features.pool == TapFeatures::Pool::mean) text += "tap_pool = \"mean\"\n";
    if (features.pool == TapFeatures::Pool::grid)
        text += fmt::format("tap_pool = {}\n", features.grid);
    if (features.projected > 0)
        text += fmt::format("tap_project = {}\ntap_project_draw = {}\n", features.projected,
                            features.draw);
    return text;
}

std::string taps_text(const Twin& twin, const FittedReadout& fitted)
{
    std::string text;
    for (const std::string& name : fitted.taps)
        for (const TapSpec& tap : twin.parts.front().backbone->taps()) {
            if (tap.name != name) continue;
            std::string shape = tap.row.text();
            const std::string both =
                fmt::format("tap = {}\ntap_shape = {}\n", toml_text(name), shape);
            text += fitted.taps.size() == 1 ? both : "[[networks.taps]]\n" + both;
        }
    return text;
}

std::string description_of(const Twin& twin, Base& base, const FittedReadout& fitted)
{
    const TwinSpec& spec = twin.spec;
    std::string text = fmt::format(
        "format = 1\nname = {}\nfamily = {}\nresponse_unit = {}\nlicence = {}\ncitation = {}\n"
        "weights = \"weights.safetensors\"\nunits = \"units.csv\"\n",
        toml_text(fitted.name), toml_text(spec.family), toml_text(fitted.response_unit),
        toml_text(spec.licence), toml_text(fmt::format("{}; {}", spec.citation, fitted.remark)));
    if (spec.family == "graph")
        text += "graph = \"graph.json\"\nsamples = \"samples.safetensors\"\n";
    else
        text += fmt::format("batch_norm_epsilon = {:e}\n",
                            base.root.require<double>("batch_norm_epsilon"));
    text += fmt::format("\n[[networks]]\nprefix = {}\nreadout = {}\nunits = {}\n",
                        toml_text(readout_prefix(twin, base)), toml_text(fitted.readout),
                        fitted.units.rows());
    // Sub-tables come last.
    const std::string taps = taps_text(twin, fitted);
    const std::string features = features_text(fitted.features);
    return text + (fitted.taps.size() == 1 ? taps + features : features + taps) +
           stimulus_text(spec.stimulus_facts);
}

void write_text_file(const fs::path& file, const std::string& text)
{
    std::ofstream stream(file, std::ios::binary);
    stream << text;
    stream.close();
    TWINSCREEN_REQUIRE(stream.good(), store, "{}: cannot be written ({})", file.string(),
                       std::strerror(errno));
}

void write_all(const Twin& twin, const FittedReadout& fitted, const fs::path& folder,
               const fs::path& work)
{
    const fs::path& source = twin.spec.source.folder;
    SharedReads reads;
    const Twin now =
        open_bundle(source, Precision::f32, reads, twin.spec.source.degrees_per_pixel).twin;
    TWINSCREEN_REQUIRE(now.spec.digest == twin.spec.source.digest, data,
                       "{}: the bundle has changed since the campaign was loaded", source.string());
    Base base(source);
    fs::remove_all(work);
    fs::create_directories(work);
    write_text_file(work / "twin.toml", description_of(twin, base, fitted));
    write_text_file(work / "units.csv", csv_text(fitted.units));
    write_weights(twin, base, fitted, work / "weights.safetensors");
    if (twin.spec.family == "graph") {
        write_text_file(work / "graph.json", base.graph_text);
        fs::copy_file(source / base.root.require<std::string>("samples"),
                      work / "samples.safetensors");
    }
    static_cast<void>(load_bundle(work));  // nobody should find out later
    fs::remove_all(folder);
    fs::rename(work, folder);
}

}  // namespace

std::string reason_against_bundle(const Twin& base)
{
    if (base.spec.source.folder.empty())
        return fmt::format("twin '{}' is not of a bundle", base.spec.name);
    if (base.spec.source.untrained)
        return fmt::format("the network of twin '{}' is untrained, its weights are drawn anew",
                           base.spec.name);
    if (base.spec.family == "package")
        return fmt::format(
            "the network of twin '{}' is a program, which a copy of it would ask to trust anew",
            base.spec.name);
    if (base.spec.family != "graph" && base.spec.family != "v4_compact")
        return fmt::format("bundles of the family \"{}\" hold no linear readouts",
                           base.spec.family);
    if (!base.selection)
        return fmt::format(
            "the features of twin '{}' are not all values of taps (its units were "
            "filtered, or no taps were named)",
            base.spec.name);
    if (backbones_of(base).size() != 1)
        return fmt::format("twin '{}' has several networks", base.spec.name);
    return {};
}

void write_fitted_bundle(const Twin& twin, const FittedReadout& fitted, const fs::path& folder)
{
    const fs::path work = folder.string() + ".partial";
    const auto clean = [&] {
        std::error_code ignored;
        fs::remove_all(work, ignored);
    };
    try {
        write_all(twin, fitted, folder, work);
    } catch (const fs::filesystem_error& failure) {
        clean();
        throw Error(Error::Kind::store, fmt::format("{}: cannot be written ({})", folder.string(),
                                                    failure.code().message()));
    } catch (...) {
        clean();
        throw;
    }
}

}  // namespace twinscreen
