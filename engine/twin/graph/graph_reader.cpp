#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <set>

#include "engine/base/error.hpp"
#include "engine/twin/graph/graph.hpp"
#include "engine/twin/graph/limits.hpp"
#include "engine/twin/graph/mistakes.hpp"
#include "engine/twin/strict_json.hpp"

namespace twinscreen {

namespace {

using Json = nlohmann::json;

constexpr std::int64_t graph_format = 1;
/// Extents are multiplied with each other: beyond this they are nobody's network.
constexpr std::int64_t largest_extent = std::numeric_limits<std::int32_t>::max();

bool is_integer(const Json& value)
{
    return value.is_number_integer() &&
           (!value.is_number_unsigned() ||
            value.get<std::uint64_t>() <=
                static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()));
}

/// "batch", {"batch": 49} or an integer.
std::optional<Extent> extent_of(const Json& value)
{
    if (value.is_string() && value.get_ref<const std::string&>() == "batch") return Extent{1, true};
    if (value.is_object() && value.size() == 1 && value.contains("batch") &&
        is_integer(value["batch"])) {
        const auto per_row = value["batch"].get<std::int64_t>();
        if (per_row < 1 || per_row > largest_extent) return std::nullopt;
        return Extent{per_row, true};
    }
    if (is_integer(value)) return Extent{value.get<std::int64_t>(), false};
    return std::nullopt;
}

std::optional<Attribute> list_of(const Json& value)
{
    std::vector<Extent> extents;
    std::vector<double> numbers;
    for (const Json& entry : value) {
        const auto extent = extent_of(entry);
        if (extent) extents.push_back(*extent);
        if (entry.is_number()) numbers.push_back(entry.get<double>());
    }
    if (extents.size() == value.size()) return Attribute(std::move(extents));
    if (numbers.size() == value.size()) return Attribute(std::move(numbers));
    return std::nullopt;
}

std::optional<Attribute> attribute_of(const Json& value)
{
    if (value.is_null()) return Attribute(std::monostate{});
    if (value.is_boolean()) return Attribute(value.get<bool>());
    if (const auto extent = extent_of(value)) return Attribute(*extent);
    if (value.is_number_float()) return Attribute(value.get<double>());
    if (value.is_string()) return Attribute(value.get<std::string>());
    if (value.is_array()) return list_of(value);
    return std::nullopt;
}

bool is_good_name(const std::string& name)
{
    return !name.empty() && name.size() <= longest_graph_name &&
           std::none_of(name.begin(), name.end(),
                        [](char letter) { return static_cast<unsigned char>(letter) < 32; });
}

/// A name for a message: hostile ones are cut.
std::string shown(const std::string& name) { return name.substr(0, 64); }

class GraphReader {
public:
    explicit GraphReader(const std::string& file) : mistakes_(file) {}

    Graph read(const Json& document)
    {
        require_known(document, {"format", "input", "nodes", "outputs"}, "the graph");
        if (document.value("format", Json()) != Json(graph_format))
            mistakes_.add("format is not {}; export the model again", graph_format);
        read_input(document.value("input", Json()));
        const Json nodes = document.value("nodes", Json());
        if (!nodes.is_array() || nodes.empty() || nodes.size() > most_graph_nodes)
            mistakes_.add("nodes is not a list of 1 to {} objects", most_graph_nodes);
        else
            for (std::size_t i = 0; i < nodes.size(); ++i) read_node(i, nodes[i]);
        require_order();
        read_outputs(document.value("outputs", Json()));
        mistakes_.throw_if_any();
        return std::move(graph_);
    }

private:
    void require_known(const Json& object, const std::set<std::string>& known,
                       const std::string& who)
    {
        for (const auto& [key, value] : object.items())
            if (known.count(key) == 0)
                mistakes_.add("{} has the unknown key '{}'", who, shown(key));
    }

    std::vector<Extent> shape_of(const Json& value, const std::string& who)
    {
        std::vector<Extent> shape;
        if (value.is_array() && value.size() <= most_graph_axes)
            for (const Json& entry : value) {
                const auto extent = extent_of(entry);
                if (!extent || extent->value < 0 || extent->value > largest_extent) break;
                shape.push_back(*extent);
            }
        if (!value.is_array() || shape.size() != value.size())
            mistakes_.add(
                "{}: shape is not a list of at most {} entries, each \"batch\", {{\"batch\": N}} "
                "or "
                "an integer from 0 to {}",
                who, most_graph_axes, largest_extent);
        return shape;
    }

    /// Every value has a name of its own.
    void introduce(const std::string& name, const std::string& who)
    {
        if (!is_good_name(name))
            mistakes_.add("{}: '{}' is no name (1 to {} bytes, no control characters)", who,
                          shown(name), longest_graph_name);
        else if (!names_.insert(name).second)
            mistakes_.add("two values are called '{}'", name);
    }

    void read_input(const Json& input)
    {
        if (!input.is_object() || !input.value("name", Json()).is_string()) {
            mistakes_.add("input is not {{\"name\": ..., \"shape\": [\"batch\", ...]}}");
            return;
        }
        require_known(input, {"name", "shape"}, "input");
        graph_.input = input["name"].get<std::string>();
        introduce(graph_.input, "input");
        graph_.input_shape = shape_of(input.value("shape", Json()), "input");
        const std::vector<Extent>& shape = graph_.input_shape;
        if (shape.size() != 4 || shape[0] != Extent{1, true})
            mistakes_.add("input has shape {}, expected [batch, channels, height, width]",
                          shape_text(shape));
    }

    void read_node(std::size_t number, const Json& entry)
    {
        std::string who = fmt::format("nodes[{}]", number);
        if (!entry.is_object() || !entry.value("name", Json()).is_string() ||
            !entry.value("operator", Json()).is_string()) {
            mistakes_.add("{} is not an object with the texts name and operator", who);
            return;
        }
        GraphNode node;
        node.name = entry["name"].get<std::string>();
        node.op = entry["operator"].get<std::string>();
        introduce(node.name, who);
        who = fmt::format("node '{}'", shown(node.name));
        require_known(entry, {"name", "operator", "inputs", "attributes", "shape"}, who);
        node.shape = shape_of(entry.value("shape", Json()), who);
        read_inputs(entry.value("inputs", Json::object()), who, node);
        read_attributes(entry.value("attributes", Json::object()), who, node);
        graph_.nodes.push_back(std::move(node));
    }

    void read_inputs(const Json& inputs, const std::string& who, GraphNode& node)
    {
        if (!inputs.is_object()) mistakes_.add("{}: inputs is not an object", who);
        for (const auto& [argument, value] : inputs.items()) {
            ValueNames taken;
            taken.is_list = value.is_array();
            const Json list = value.is_array() ? value : Json::array({value});
            for (const Json& name : list)
                if (name.is_string()) taken.names.push_back(name.get<std::string>());
            if (taken.names.size() != list.size() || list.empty())
                mistakes_.add("{}: input '{}' is neither a name nor a list of names", who,
                              shown(argument));
            else
                node.inputs.emplace(argument, std::move(taken));
        }
    }

    void read_attributes(const Json& attributes, const std::string& who, GraphNode& node)
    {
        if (!attributes.is_object()) mistakes_.add("{}: attributes is not an object", who);
        for (const auto& [argument, value] : attributes.items()) {
            auto attribute = attribute_of(value);
            if (!attribute)
                mistakes_.add(
                    "{}: attribute '{}' is no number, truth value, text, null or list of numbers",
                    who, shown(argument));
            else if (node.inputs.count(argument) > 0)
                mistakes_.add("{}: '{}' is among inputs and attributes", who, shown(argument));
            else
                node.attributes.emplace(argument, std::move(*attribute));
        }
    }

    /// A node that uses a later one is part of a cycle, or the list is not in order; names that
    /// belong to no node are looked for among the tensors later.
    void require_order()
    {
        std::set<std::string> later;
        for (auto node = graph_.nodes.rbegin(); node != graph_.nodes.rend(); ++node) {
            later.insert(node->name);
            for (const auto& [argument, values] : node->inputs)
                for (const std::string& name : values.names)
                    if (later.count(name) > 0)
                        mistakes_.add(
                            "node '{}' uses '{}', which is not computed before it (a cycle, or "
                            "nodes in the wrong order)",
                            shown(node->name), shown(name));
        }
    }

    void read_outputs(const Json& outputs)
    {
        if (!outputs.is_array() || outputs.empty()) {
            mistakes_.add("outputs is not a list of names of nodes");
            return;
        }
        std::set<std::string> nodes;
        for (const GraphNode& node : graph_.nodes) nodes.insert(node.name);
        for (const Json& name : outputs)
            if (!name.is_string() || nodes.erase(name.get<std::string>()) == 0)
                mistakes_.add("outputs names {}, which is no node or was named before",
                              shown(name.dump()));
            else
                graph_.outputs.push_back(name.get<std::string>());
    }

    Graph graph_;
    std::set<std::string> names_;
    Mistakes mistakes_;
};

}  // namespace

Graph read_graph(const std::string& file, std::string_view text)
{
    constexpr std::size_t keys = 4;  // of the outermost object
    const Json document = parse_strict_json(file, text, {deepest_graph, keys, "keys"});
    return GraphReader(file).read(document);
}

std::string shape_text(const std::vector<Extent>& shape)
{
    std::vector<std::string> parts;
    for (const Extent& extent : shape)
        parts.push_back(!extent.per_row     ? fmt::format("{}", extent.value)
                        : extent.value == 1 ? "batch"
                                            : fmt::format("{} batch", extent.value));
    return fmt::format("[{}]", fmt::join(parts, ", "));
}

}  // namespace twinscreen
