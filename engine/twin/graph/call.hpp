#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/ivalue.h>

#include "engine/twin/graph/graph.hpp"
#include "engine/twin/graph/operators.hpp"

namespace twinscreen {

/// Where an argument of a call comes from: fixed, from values (slots), or integers that depend on
/// the number of rows.
struct GraphArgument {
    enum class Kind { fixed, value, list, integer, integers };
    Kind kind = Kind::fixed;
    c10::IValue fixed;
    std::vector<std::size_t> slots;
    std::vector<Extent> extents;
};

/// One operator with its arguments; the result goes to a slot.
struct GraphCall {
    std::string name;  ///< of the node
    const Operator* op = nullptr;
    std::optional<c10::OperatorHandle> handle;
    std::vector<GraphArgument> arguments;  ///< as in the operator's schema
    std::size_t slot = 0;
    std::vector<Extent> shape;
    bool is_real = true;  ///< of real numbers, not of indices or truth values
    double macs_per_row = 0.0;
    double bytes = 0.0;  ///< of the result; 0 for a view

    /// Depends neither on the image nor on the number of rows.
    bool is_constant() const noexcept;
};

/// The arguments of one call of the operator.
torch::jit::Stack stack_of(const GraphCall& call, const std::vector<at::Tensor>& slots,
                           std::int64_t rows);

}  // namespace twinscreen
