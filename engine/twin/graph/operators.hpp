#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/ivalue.h>

#include "engine/twin/graph/graph.hpp"

namespace twinscreen {

/// One operator of the closed list: pure arithmetic on tensors with one tensor as result.
struct Operator {
    std::string_view name;
    /// The result without computing it, from arguments whose tensors have a shape and no memory.
    /// Empty: ATen says it itself.
    std::function<at::Tensor(const c10::OperatorHandle&, const torch::jit::Stack&)> infer = {};
    /// Multiply-accumulates of one call; empty: none worth counting.
    std::function<double(const torch::jit::Stack&, const at::Tensor& result)> macs = {};
    /// Numbers that it holds while it runs, beside arguments and result; empty: few.
    std::function<double(const torch::jit::Stack&)> scratch = {};
    /// The result may share the memory of the first argument.
    bool is_view = false;
};

/// Null for an operator that is not allowed.
const Operator* find_operator(std::string_view name);

/// The operator of ATen with that name.
c10::OperatorHandle operator_handle(const Operator& op);

}  // namespace twinscreen
