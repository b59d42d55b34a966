#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace twinscreen {

/// An integer of a graph: fixed, or so many per row of the call ("batch", {"batch": 49}).
struct Extent {
    std::int64_t value = 0;
    bool per_row = false;

    std::int64_t at(std::int64_t rows) const noexcept { return per_row ? value * rows : value; }
    friend bool operator==(const Extent&, const Extent&) = default;
};

using Attribute = std::variant<std::monostate, bool, double, std::string, Extent,
                               std::vector<double>, std::vector<Extent>>;

/// Names of values that an argument takes: one, or a list.
struct ValueNames {
    std::vector<std::string> names;
    bool is_list = false;
};

/// One call of an operator; its result has the node's name.
struct GraphNode {
    std::string name;
    std::string op;  ///< ATen's name, with the overload unless it is the default: "add.Tensor"
    std::map<std::string, ValueNames> inputs;
    std::map<std::string, Attribute> attributes;
    std::vector<Extent> shape;
};

/// A network as a list of operators, each using earlier values only.
struct Graph {
    std::string input;
    std::vector<Extent> input_shape;
    std::vector<GraphNode> nodes;
    std::vector<std::string> outputs;
};

/// A graph from the text of graph.json, checked for form: types, limits, names, order.
/// Throws Error(data) that lists all mistakes.
///
/// file  for messages
Graph read_graph(const std::string& file, std::string_view text);

/// "[batch, 3, 224, 224]"
std::string shape_text(const std::vector<Extent>& shape);

}  // namespace twinscreen
