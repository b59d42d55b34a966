#include "engine/twin/graph/fold_batch_norm.hpp"

#include <map>
#include <string_view>

#include <ATen/ATen.h>

namespace twinscreen {

namespace {

using Kind = GraphArgument::Kind;

bool is_convolution(const GraphCall& call)
{
    return call.op->name == "conv1d" || call.op->name == "conv2d" || call.op->name == "conv3d";
}

/// Arguments of the two schemas, by position.
enum Convolution : std::size_t { input, weight, bias };
enum BatchNorm : std::size_t {
    norm_input,
    gamma,
    beta,
    mean,
    variance,
    training,
    momentum,
    epsilon
};

bool has_fixed(const GraphCall& call, std::initializer_list<std::size_t> positions)
{
    for (const std::size_t position : positions)
        if (call.arguments[position].kind != Kind::fixed) return false;
    return true;
}

at::Tensor or_else(const c10::IValue& given, const at::Tensor& otherwise)
{
    return given.isTensor() ? given.toTensor().to(at::kDouble) : otherwise;
}

GraphCall folded(const GraphCall& convolution, const GraphCall& norm, Precision precision)
{
    const auto given = [&](std::size_t position) { return norm.arguments[position].fixed; };
    const at::Tensor centre = given(mean).toTensor().to(at::kDouble);
    const at::Tensor scale =
        or_else(given(gamma), at::ones_like(centre)) /
        at::sqrt(given(variance).toTensor().to(at::kDouble) + given(epsilon).toDouble());
    const at::Tensor kernel = convolution.arguments[weight].fixed.toTensor().to(at::kDouble);
    std::vector<std::int64_t> per_output(static_cast<std::size_t>(kernel.dim()), 1);
    per_output[0] = -1;
    const at::Tensor offset =
        (or_else(convolution.arguments[bias].fixed, at::zeros_like(centre)) - centre) * scale +
        or_else(given(beta), at::zeros_like(centre));
    const at::ScalarType type = precision == Precision::f32 ? at::kFloat : at::kDouble;
    GraphCall call = norm;
    call.op = convolution.op;
    call.handle = convolution.handle;
    call.macs_per_row = convolution.macs_per_row;
    call.arguments = convolution.arguments;
    call.arguments[weight].fixed = (kernel * scale.view(per_output)).to(type);
    call.arguments[bias].fixed = offset.to(type);
    return call;
}

}  // namespace

void fold_batch_norms(std::vector<GraphCall>& calls, Precision precision)
{
    std::map<std::size_t, std::size_t> users;  // of a slot
    std::map<std::size_t, const GraphCall*> maker;
    for (const GraphCall& call : calls) {
        maker.emplace(call.slot, &call);
        for (const GraphArgument& argument : call.arguments)
            for (const std::size_t slot : argument.slots) ++users[slot];
    }
    for (GraphCall& call : calls) {
        if (call.op->name != std::string_view("batch_norm") ||
            !has_fixed(call, {gamma, beta, mean, variance}) ||
            !call.arguments[mean].fixed.isTensor() || !call.arguments[variance].fixed.isTensor() ||
            call.arguments[norm_input].kind != Kind::value)
            continue;
        const std::size_t source = call.arguments[norm_input].slots[0];
        const auto before = maker.find(source);
        if (before == maker.end() || users[source] != 1 || !is_convolution(*before->second) ||
            !has_fixed(*before->second, {weight, bias}) ||
            before->second->arguments[input].kind != Kind::value)
            continue;
        call = folded(*before->second, call, precision);
    }
}

}  // namespace twinscreen
