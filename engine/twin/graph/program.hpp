#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include <ATen/Tensor.h>

#include "engine/twin/graph/call.hpp"
#include "engine/twin/graph/graph.hpp"
#include "engine/twin/safetensors.hpp"
#include "engine/twin/twin.hpp"

namespace twinscreen {

/// A graph with its tensors, ready to run. What depends on no image is computed once, and batch
/// norms are folded into the convolutions before them. Independent; one thread.
class GraphProgram {
public:
    /// Checks operators, arguments, tensors and inferred shapes; runs nothing whose size was not
    /// computed before.
    ///
    /// also_used  tensors that somebody else takes: not surplus
    /// rows       of a call, for what is said about memory
    /// throws     Error(data) that lists all mistakes; Error(device) for a node that does not fit
    ///            into memory
    GraphProgram(const Graph& graph, const std::string& file, const SafetensorsFile& tensors,
                 const std::set<std::string>& also_used, Precision precision, std::int64_t rows);

    /// A node that computes one row of real numbers per image.
    struct Value {
        std::string name;
        std::vector<std::int64_t> row;  ///< shape of one row
    };
    const std::vector<Value>& values() const noexcept { return values_; }

    /// The calls that a set of wanted values needs.
    struct Plan {
        struct Call {
            std::size_t call = 0;
            std::vector<std::size_t> free_after;  ///< slots that nobody needs any more
        };
        std::vector<Call> calls;
        std::vector<std::size_t> wanted;  ///< slots
        double macs_per_row = 0.0;
        double peak_bytes = 0.0;  ///< of the values alive at once
    };
    /// wanted  indices into values()
    Plan plan(const std::vector<std::size_t>& wanted) const;

    /// The wanted values, in their order. With gradient mode on and an input that requires a
    /// gradient, they have one. Throws Error(data) that names the node.
    std::vector<at::Tensor> run(const Plan& plan, const at::Tensor& input) const;

    /// The same program with its constants on that device and real numbers in that type.
    std::unique_ptr<GraphProgram> on(const at::Device& device, at::ScalarType type) const;

    /// All constant tensors [bytes].
    double constant_bytes() const noexcept { return constant_bytes_; }

private:
    class Compiler;

    void compute_constants();
    void list_values();

    std::int64_t rows_;
    std::vector<GraphCall> calls_;
    std::vector<at::Tensor> constants_;  ///< by slot; those that no argument holds
    std::vector<Value> values_;
    std::vector<std::size_t> call_of_value_;
    double constant_bytes_ = 0.0;
};

}  // namespace twinscreen
