#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "engine/twin/graph/call.hpp"

namespace twinscreen {

/// The arguments of a node in the order of the operator's schema, with its defaults.
///
/// slot_named  the slot of a value
/// problems    receives a sentence for whatever does not fit the schema
std::vector<GraphArgument> arguments_of(
    const c10::OperatorHandle& handle, const GraphNode& node,
    const std::function<std::size_t(const std::string&)>& slot_named,
    std::vector<std::string>& problems);

/// Makes an argument fixed whose values are all constant.
void fix_constants(GraphArgument& argument, const std::vector<at::Tensor>& constants);

}  // namespace twinscreen
