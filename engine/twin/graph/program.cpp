#include "engine/twin/graph/program.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <map>

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include "engine/base/error.hpp"
#include "engine/base/memory.hpp"
#include "engine/config/section.hpp"
#include "engine/twin/bundle.hpp"
#include "engine/twin/graph/arguments.hpp"
#include "engine/twin/graph/fold_batch_norm.hpp"
#include "engine/twin/graph/mistakes.hpp"

namespace twinscreen {

namespace {

/// What went wrong, without the stack of the library.
std::string reason_of(const std::exception& exception)
{
    const auto* theirs = dynamic_cast<const c10::Error*>(&exception);
    const std::string text =
        theirs != nullptr ? theirs->what_without_backtrace() : std::string(exception.what());
    return text.substr(0, text.find('\n'));
}

at::ScalarType scalar_type_of(ElementType type)
{
    switch (type) {
        case ElementType::i32: return at::kInt;
        case ElementType::i64: return at::kLong;
        case ElementType::f16: return at::kHalf;
        case ElementType::bf16: return at::kBFloat16;
        case ElementType::f32: return at::kFloat;
        case ElementType::f64: return at::kDouble;
        case ElementType::u8:
        case ElementType::u64: break;
    }
    return at::ScalarType::Undefined;
}

/// Aligned memory of its own: numbers in the precision of the network, indices as int64.
at::Tensor tensor_from(const TensorView& view, Precision precision)
{
    const at::ScalarType stored = scalar_type_of(view.type);
    at::Tensor raw = at::empty(view.shape, at::TensorOptions().dtype(stored));
    if (!view.bytes.empty()) std::memcpy(raw.data_ptr(), view.bytes.data(), view.bytes.size());
    if (!raw.is_floating_point()) return raw.to(at::kLong);
    return raw.to(precision == Precision::f32 ? at::kFloat : at::kDouble);
}

std::vector<std::int64_t> shape_at(const std::vector<Extent>& shape, std::int64_t rows)
{
    std::vector<std::int64_t> extents;
    for (const Extent& extent : shape) extents.push_back(extent.at(rows));
    return extents;
}

double bytes_of_tensor(const at::Tensor& tensor)
{
    double bytes = static_cast<double>(tensor.element_size());
    for (const std::int64_t extent : tensor.sizes()) bytes *= static_cast<double>(extent);
    return bytes;
}

/// Computed when it is loaded. A small file must not make us compute or keep much: whatever is
/// larger is computed in each pass that needs it.
bool is_small_constant(const GraphCall& call)
{
    return call.is_constant() && call.bytes <= largest_graph_constant &&
           call.macs_per_row <= most_constant_macs;
}

}  // namespace

/// Turns the nodes into calls, one after the other, and infers what they compute.
class GraphProgram::Compiler {
public:
    Compiler(GraphProgram& program, const std::string& file, const SafetensorsFile& tensors,
             Precision precision)
        : program_(program), tensors_(tensors), precision_(precision), mistakes_(file)
    {
    }

    void compile(const Graph& graph, const std::set<std::string>& also_used)
    {
        place_input(graph);
        for (const GraphNode& node : graph.nodes)
            for (const auto& [argument, values] : node.inputs)
                for (const std::string& name : values.names) place_tensor(name);
        for (const auto& [name, view] : tensors_.tensors())
            if (slot_of_.count(name) == 0 && also_used.count(name) == 0)
                mistakes_.add("tensor '{}' is used by no node and no readout", name);
        for (const GraphNode& node : graph.nodes) compile_node(node);
        mistakes_.throw_if_any();
        require_known_shape_of_outputs(graph);
        program_.constants_.resize(inferred_[0].size());
        mistakes_.throw_if_any();
    }

private:
    void add_slot(const std::string& name, const std::array<at::Tensor, 2>& shapes)
    {
        slot_of_.emplace(name, inferred_[0].size());
        for (std::size_t which = 0; which < 2; ++which) inferred_[which].push_back(shapes[which]);
    }

    at::TensorOptions without_memory() const
    {
        return at::TensorOptions()
            .dtype(precision_ == Precision::f32 ? at::kFloat : at::kDouble)
            .device(at::kMeta);
    }

    std::int64_t rows(std::size_t which) const
    {
        return which == 0 ? program_.rows_ : program_.rows_ + 1;
    }

    void place_input(const Graph& graph)
    {
        std::array<at::Tensor, 2> shapes;
        for (std::size_t which = 0; which < 2; ++which)
            shapes[which] = at::empty(shape_at(graph.input_shape, rows(which)), without_memory());
        add_slot(graph.input, shapes);
        program_.constants_.emplace_back();
        for (const GraphNode& node : graph.nodes) node_names_.insert(node.name);
    }

    void place_tensor(const std::string& name)
    {
        if (slot_of_.count(name) > 0 || node_names_.count(name) > 0) return;
        const auto found = tensors_.tensors().find(name);
        if (found == tensors_.tensors().end()) {
            if (dangling_.insert(name).second)
                mistakes_.add("'{}' is neither a node nor the input nor a tensor of {}", name,
                              tensors_.path().filename().string());
            return;
        }
        const TensorView& view = found->second;
        if (scalar_type_of(view.type) == at::ScalarType::Undefined) {
            mistakes_.add("tensor '{}' holds {}, expected a kind of float, int32 or int64", name,
                          name_of(view.type));
            dangling_.insert(name);
            return;
        }
        const at::Tensor tensor = tensor_from(view, precision_);
        if (tensor.is_floating_point() && !at::isfinite(tensor).all().item<bool>())
            mistakes_.add("tensor '{}' holds values that are not finite", name);
        const at::Tensor shape = tensor.to(at::kMeta);
        add_slot(name, {shape, shape});
        program_.constants_.push_back(tensor);
    }

    void compile_node(const GraphNode& node)
    {
        const Operator* op = find_operator(node.op);
        std::array<at::Tensor, 2> results;
        if (op == nullptr)
            mistakes_.add("node '{}': operator '{}' is not supported{}", node.name, node.op,
                          hint_for(node.op));
        else if (slot_of_.count(node.name) > 0)
            mistakes_.add("a node and a tensor are called '{}'", node.name);
        else
            results = compile_call(node, *op);
        add_slot(node.name, results);
    }

    static std::string hint_for(const std::string& op)
    {
        const auto nearest = nearest_word(op, graph_operators());
        return nearest ? fmt::format(" (did you mean '{}'?)", *nearest) : "";
    }

    std::array<at::Tensor, 2> compile_call(const GraphNode& node, const Operator& op)
    {
        GraphCall call;
        call.name = node.name;
        call.op = &op;
        call.handle = operator_handle(op);
        call.slot = inferred_[0].size();
        std::vector<std::string> problems;
        bool is_complete = true;  // every value that it takes is known
        const auto slot_named = [&](const std::string& name) {
            const auto slot = slot_of_.find(name);
            const bool is_known = slot != slot_of_.end() && inferred_[0][slot->second].defined();
            is_complete = is_complete && is_known;
            return slot == slot_of_.end() ? std::size_t{0} : slot->second;
        };
        call.arguments = arguments_of(*call.handle, node, slot_named, problems);
        for (const std::string& problem : problems)
            mistakes_.add("node '{}' ({}): {}", node.name, node.op, problem);
        if (!problems.empty() || !is_complete) return {};
        return infer(node, std::move(call));
    }

    std::array<at::Tensor, 2> infer(const GraphNode& node, GraphCall call)
    {
        std::array<at::Tensor, 2> results;
        for (std::size_t which = 0; which < 2; ++which) {
            try {
                results[which] = infer_one(call, which);
            } catch (const std::exception& problem) {
                mistakes_.add("node '{}' ({}): {}", node.name, node.op, reason_of(problem));
                return {};
            }
            const auto expected = shape_at(node.shape, rows(which));
            if (results[which].sizes() != at::IntArrayRef(expected)) {
                mistakes_.add("node '{}' ({}) computes [{}] of {} rows, the file says {}",
                              node.name, node.op, fmt::join(results[which].sizes(), ", "),
                              rows(which), shape_text(node.shape));
                return {};
            }
        }
        call.shape = node.shape;
        call.is_real = results[0].is_floating_point();
        const torch::jit::Stack stack = stack_of(call, inferred_[0], rows(0));
        call.bytes = call.op->is_view ? 0.0 : bytes_of_tensor(results[0]);
        if (call.op->scratch)
            call.bytes += call.op->scratch(stack) * static_cast<double>(results[0].element_size());
        if (call.op->macs)
            call.macs_per_row = call.op->macs(stack, results[0]) / static_cast<double>(rows(0));
        program_.calls_.push_back(std::move(call));
        return results;
    }

    at::Tensor infer_one(const GraphCall& call, std::size_t which) const
    {
        torch::jit::Stack stack = stack_of(call, inferred_[which], rows(which));
        if (call.op->infer) return call.op->infer(*call.handle, stack);
        call.handle->callBoxed(&stack);
        return stack.at(0).toTensor();
    }

    void require_known_shape_of_outputs(const Graph& graph)
    {
        for (const std::string& name : graph.outputs)
            if (inferred_[0][slot_of_.at(name)].dim() < 1 ||
                inferred_[0][slot_of_.at(name)].size(0) != rows(0))
                mistakes_.add("output '{}' has no row per image", name);
    }

    GraphProgram& program_;
    const SafetensorsFile& tensors_;
    Precision precision_;
    Mistakes mistakes_;
    std::map<std::string, std::size_t> slot_of_;
    std::set<std::string> node_names_;
    std::set<std::string> dangling_;
    /// Shape and type of every slot, for the rows of a call and for one more.
    std::array<std::vector<at::Tensor>, 2> inferred_;
};

GraphProgram::GraphProgram(const Graph& graph, const std::string& file,
                           const SafetensorsFile& tensors, const std::set<std::string>& also_used,
                           Precision precision, std::int64_t rows)
    : rows_(rows)
{
    const c10::NoGradGuard no_graph;
    Compiler(*this, file, tensors, precision).compile(graph, also_used);
    const auto largest =
        std::max_element(calls_.begin(), calls_.end(),
                         [](const GraphCall& a, const GraphCall& b) { return a.bytes < b.bytes; });
    require_memory(fmt::format("{}: node '{}' of {} rows", file, largest->name, rows),
                   largest->bytes);
    compute_constants();
    fold_batch_norms(calls_, precision);
    list_values();
}

void GraphProgram::compute_constants()
{
    for (GraphCall& call : calls_) {
        for (GraphArgument& argument : call.arguments) fix_constants(argument, constants_);
        if (!is_small_constant(call)) continue;
        torch::jit::Stack stack = stack_of(call, constants_, rows_);
        call.handle->callBoxed(&stack);
        constants_[call.slot] = stack.at(0).toTensor();
    }
    std::erase_if(calls_, is_small_constant);
    std::set<std::size_t> listed;  // beside values that are computed: these are not bound
    for (const GraphCall& call : calls_)
        for (const GraphArgument& argument : call.arguments)
            listed.insert(argument.slots.begin(), argument.slots.end());
    for (std::size_t slot = 0; slot < constants_.size(); ++slot) {
        if (constants_[slot].defined()) constant_bytes_ += bytes_of_tensor(constants_[slot]);
        if (listed.count(slot) == 0) constants_[slot].reset();
    }
}

std::unique_ptr<GraphProgram> GraphProgram::on(const at::Device& device, at::ScalarType type) const
{
    auto copy = std::unique_ptr<GraphProgram>(new GraphProgram(*this));
    std::map<const void*, at::Tensor> moved;  // several calls may take one constant
    const auto move = [&](const at::Tensor& tensor) {
        if (!tensor.defined()) return tensor;
        at::Tensor& known = moved[tensor.unsafeGetTensorImpl()];
        if (!known.defined())
            known = tensor.to(device, tensor.is_floating_point() ? type : tensor.scalar_type());
        return known;
    };
    for (at::Tensor& constant : copy->constants_) constant = move(constant);
    for (GraphCall& call : copy->calls_)
        for (GraphArgument& argument : call.arguments) {
            if (argument.fixed.isTensor()) argument.fixed = move(argument.fixed.toTensor());
            if (!argument.fixed.isTensorList()) continue;
            c10::List<at::Tensor> list;
            for (const at::Tensor& tensor : argument.fixed.toTensorVector())
                list.push_back(move(tensor));
            argument.fixed = list;
        }
    return copy;
}

void GraphProgram::list_values()
{
    constexpr std::size_t most_axes = 6;  // of a batch
    for (std::size_t i = 0; i < calls_.size(); ++i) {
        const std::vector<Extent>& shape = calls_[i].shape;
        const bool has_rows = !shape.empty() && shape[0] == Extent{1, true};
        if (!has_rows || shape.size() > most_axes || !calls_[i].is_real ||
            std::any_of(shape.begin() + 1, shape.end(), [](Extent e) { return e.per_row; }))
            continue;
        std::vector<std::int64_t> row = shape_at(shape, 1);
        row.erase(row.begin());
        if (row.empty()) row = {1};
        values_.push_back({calls_[i].name, std::move(row)});
        call_of_value_.push_back(i);
    }
}

GraphProgram::Plan GraphProgram::plan(const std::vector<std::size_t>& wanted) const
{
    std::vector<std::size_t> call_of_slot(constants_.size(), calls_.size());
    for (std::size_t i = 0; i < calls_.size(); ++i) call_of_slot[calls_[i].slot] = i;
    Plan plan;
    std::vector<bool> is_needed(calls_.size(), false);
    std::vector<bool> is_wanted(constants_.size(), false);
    for (const std::size_t value : wanted) {
        const GraphCall& call = calls_.at(call_of_value_.at(value));
        plan.wanted.push_back(call.slot);
        is_wanted[call.slot] = true;
        is_needed[call_of_value_[value]] = true;
    }
    // From the last call to the first: whoever comes first here uses a value last.
    std::vector<bool> is_used(constants_.size(), false);
    for (std::size_t i = calls_.size(); i-- > 0;) {
        if (!is_needed[i]) continue;
        Plan::Call step{i, {}};
        for (const GraphArgument& argument : calls_[i].arguments)
            for (const std::size_t slot : argument.slots) {
                if (call_of_slot[slot] < calls_.size()) is_needed[call_of_slot[slot]] = true;
                if (!is_used[slot] && !is_wanted[slot]) step.free_after.push_back(slot);
                is_used[slot] = true;
            }
        plan.macs_per_row += calls_[i].macs_per_row;
        plan.calls.push_back(std::move(step));
    }
    std::reverse(plan.calls.begin(), plan.calls.end());
    double alive = 0.0;
    for (const Plan::Call& step : plan.calls) {
        alive += calls_[step.call].bytes;
        plan.peak_bytes = std::max(plan.peak_bytes, alive);
        for (const std::size_t slot : step.free_after)
            if (call_of_slot[slot] < calls_.size()) alive -= calls_[call_of_slot[slot]].bytes;
    }
    return plan;
}

std::vector<at::Tensor> GraphProgram::run(const Plan& plan, const at::Tensor& input) const
{
    std::vector<at::Tensor> slots = constants_;
    slots[0] = input;
    for (const Plan::Call& step : plan.calls) {
        const GraphCall& call = calls_[step.call];
        try {
            torch::jit::Stack stack = stack_of(call, slots, input.size(0));
            call.handle->callBoxed(&stack);
            slots[call.slot] = std::move(stack.at(0)).toTensor();
        } catch (const c10::Error& problem) {
            if (!input.is_cpu()) throw;  // the GPU's failure, not the graph's
            throw Error(Error::Kind::data, fmt::format("node '{}' ({}): {}", call.name,
                                                       call.op->name, reason_of(problem)));
        }
        for (const std::size_t slot : step.free_after) slots[slot].reset();
    }
    std::vector<at::Tensor> results;
    for (const std::size_t slot : plan.wanted)
        results.push_back(slots[slot].dim() == 1 ? slots[slot].unsqueeze(1) : slots[slot]);
    return results;
}

}  // namespace twinscreen
