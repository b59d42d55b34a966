#include "engine/twin/graph/operators.hpp"

#include <algorithm>
#include <map>

#include <ATen/ATen.h>
#include <ATen/ExpandUtils.h>

#include "engine/base/error.hpp"
#include "engine/twin/bundle.hpp"

namespace twinscreen {

namespace {

using Stack = torch::jit::Stack;
using Handle = c10::OperatorHandle;

const c10::IValue& argument(const Handle& handle, const Stack& stack, const std::string& name)
{
    const auto index = handle.schema().argumentIndexWithName(name);
    TWINSCREEN_REQUIRE(index.has_value(), internal, "{} has no argument {}", handle.schema().name(),
                       name);
    return stack.at(static_cast<std::size_t>(*index));
}

at::Tensor of_shape(at::IntArrayRef shape, const at::Tensor& like)
{
    return at::empty(shape, like.options());
}

at::Tensor same_as_first(const Handle&, const Stack& stack)
{
    return of_shape(stack.at(0).toTensor().sizes(), stack.at(0).toTensor());
}

/// Value `i` of a list of one value per spatial axis, or one for all.
std::int64_t at_axis(const std::vector<std::int64_t>& values, std::size_t i)
{
    TWINSCREEN_REQUIRE(!values.empty(), data, "an empty list of integers");
    return values.size() == 1 ? values[0] : values.at(i);
}

/// Convolutions know their result only where they run.
at::Tensor convolved(const Handle& handle, const Stack& stack)
{
    const at::Tensor input = stack.at(0).toTensor();
    const at::Tensor weight = stack.at(1).toTensor();
    const bool is_transposed = handle.schema().argumentIndexWithName("output_padding").has_value();
    const auto list = [&](const char* name) { return argument(handle, stack, name).toIntVector(); };
    const auto stride = list("stride");
    const auto padding = list("padding");
    const auto dilation = list("dilation");
    const std::int64_t groups = argument(handle, stack, "groups").toInt();
    TWINSCREEN_REQUIRE(input.dim() == weight.dim() && input.dim() >= 3 && groups >= 1, data,
                       "cannot convolve {} axes with a kernel of {} in {} groups", input.dim(),
                       weight.dim(), groups);
    const std::int64_t inputs = is_transposed ? weight.size(0) : weight.size(1) * groups;
    TWINSCREEN_REQUIRE(input.size(1) == inputs, data,
                       "the kernel takes {} channels, the input has {}", inputs, input.size(1));
    std::vector<std::int64_t> shape = {input.size(0),
                                       is_transposed ? weight.size(1) * groups : weight.size(0)};
    for (std::int64_t axis = 2; axis < input.dim(); ++axis) {
        const auto i = static_cast<std::size_t>(axis - 2);
        const std::int64_t reach = at_axis(dilation, i) * (weight.size(axis) - 1) + 1;
        const std::int64_t step = at_axis(stride, i);
        TWINSCREEN_REQUIRE(step >= 1 && reach >= 1, data, "stride and dilation are 1 or more");
        const std::int64_t padded = input.size(axis) + 2 * at_axis(padding, i);
        shape.push_back(is_transposed ? (input.size(axis) - 1) * step - 2 * at_axis(padding, i) +
                                            reach + at_axis(list("output_padding"), i)
                                      : (padded - reach) / step + 1);
        TWINSCREEN_REQUIRE(shape.back() >= 1 && (is_transposed || padded >= reach), data,
                           "the kernel is larger than the padded input");
    }
    return of_shape(shape, input);
}

at::Tensor attended(const Handle&, const Stack& stack)
{
    std::vector<std::int64_t> shape = stack.at(0).toTensor().sizes().vec();
    shape.back() = stack.at(2).toTensor().size(-1);
    return of_shape(shape, stack.at(0).toTensor());
}

/// The last axes of the input are replaced by the list of sizes.
at::Tensor resized(const Handle&, const Stack& stack)
{
    const at::Tensor input = stack.at(0).toTensor();
    std::vector<std::int64_t> shape = input.sizes().vec();
    const auto sizes = stack.at(1).toIntVector();
    TWINSCREEN_REQUIRE(sizes.size() <= shape.size(), data, "{} sizes for {} axes", sizes.size(),
                       shape.size());
    std::copy(sizes.begin(), sizes.end(), shape.end() - static_cast<std::ptrdiff_t>(sizes.size()));
    return of_shape(shape, input);
}

/// Every kind of padding makes the size that padding with a constant makes.
at::Tensor padded(const Handle&, const Stack& stack)
{
    return at::constant_pad_nd(stack.at(0).toTensor(), stack.at(1).toIntVector());
}

/// Spread over the same axes as a sum.
at::Tensor spread(const Handle& handle, const Stack& stack)
{
    return at::sum(
        stack.at(0).toTensor(),
        stack.at(1).toOptional<std::vector<std::int64_t>>().value_or(std::vector<std::int64_t>{}),
        argument(handle, stack, "keepdim").toBool());
}

at::Tensor chosen(const Handle&, const Stack& stack)
{
    const at::Tensor yes = stack.at(1).toTensor();
    const auto some = at::infer_size(stack.at(0).toTensor().sizes(), yes.sizes());
    return of_shape(at::infer_size(some, stack.at(2).toTensor().sizes()), yes);
}

at::Tensor selected(const Handle&, const Stack& stack)
{
    const at::Tensor input = stack.at(0).toTensor();
    std::vector<std::int64_t> shape = input.sizes().vec();
    const std::int64_t axis =
        stack.at(1).toInt() < 0 ? stack.at(1).toInt() + input.dim() : stack.at(1).toInt();
    shape.at(static_cast<std::size_t>(axis)) = stack.at(2).toTensor().numel();
    return of_shape(shape, input);
}

/// Every point of the grid [batch, points..., axes] takes a value of every channel.
at::Tensor sampled(const Handle&, const Stack& stack)
{
    const at::Tensor input = stack.at(0).toTensor();
    const at::Tensor grid = stack.at(1).toTensor();
    TWINSCREEN_REQUIRE(input.dim() >= 3 && grid.dim() == input.dim() &&
                           grid.size(-1) == input.dim() - 2 && grid.size(0) == input.size(0),
                       data, "a grid of {} axes does not fit an input of {}", grid.dim(),
                       input.dim());
    std::vector<std::int64_t> shape = {input.size(0), input.size(1)};
    shape.insert(shape.end(), grid.sizes().begin() + 1, grid.sizes().end() - 1);
    return of_shape(shape, input);
}

double product(at::IntArrayRef shape)
{
    double count = 1.0;
    for (const std::int64_t extent : shape) count *= static_cast<double>(extent);
    return count;
}

double convolution_macs(const Stack& stack, const at::Tensor& result)
{
    const at::Tensor weight = stack.at(1).toTensor();
    return product(result.sizes()) * product(weight.sizes()) / static_cast<double>(weight.size(0));
}

double transposed_macs(const Stack& stack, const at::Tensor&)
{
    const at::Tensor weight = stack.at(1).toTensor();
    return product(stack.at(0).toTensor().sizes()) * product(weight.sizes()) /
           static_cast<double>(weight.size(0));
}

/// Every value of the result is a sum over the last axis of that argument.
template <int Argument>
double product_macs(const Stack& stack, const at::Tensor& result)
{
    return product(result.sizes()) * static_cast<double>(stack.at(Argument).toTensor().size(-1));
}

double attention_macs(const Stack& stack, const at::Tensor& result)
{
    const at::Tensor keys = stack.at(1).toTensor();
    return static_cast<double>(keys.size(-2)) *
           (product(stack.at(0).toTensor().sizes()) + product(result.sizes()));
}

/// One weight per query and key, where the library holds them all.
double attention_weights(const Stack& stack)
{
    const at::Tensor queries = stack.at(0).toTensor();
    return product(queries.sizes()) /
           static_cast<double>(std::max<std::int64_t>(queries.size(-1), 1)) *
           static_cast<double>(stack.at(1).toTensor().size(-2));
}

/// The result has the shape of the first argument, which ATen does not say without computing it.
constexpr std::string_view keeping_the_shape =
    "batch_norm layer_norm group_norm instance_norm relu relu6 hardswish "
    "hardtanh prelu roll flip channel_shuffle masked_fill.Scalar abs "
    "log_sigmoid";
/// ATen says the shape of the result.
constexpr std::string_view known_to_aten =
    "einsum rms_norm linalg_vector_norm gelu silu elu selu celu mish "
    "hardsigmoid leaky_relu softplus sigmoid tanh softmax.int "
    "log_softmax.int glu max_pool1d max_pool2d avg_pool1d avg_pool2d "
    "avg_pool3d upsample_nearest2d upsample_bilinear2d upsample_bicubic2d "
    "pixel_shuffle pixel_unshuffle constant_pad_nd repeat cat stack mean.dim "
    "sum.dim_IntList amax amin add.Tensor add.Scalar sub.Tensor sub.Scalar "
    "rsub.Scalar mul.Tensor mul.Scalar div.Tensor div.Scalar "
    "pow.Tensor_Scalar pow.Tensor_Tensor neg sqrt rsqrt exp log log1p expm1 "
    "reciprocal square sin cos erf sign floor ceil clamp clamp_min clamp_max "
    "maximum minimum gt.Scalar lt.Scalar ge.Scalar le.Scalar eq.Scalar "
    "reshape flatten.using_ints contiguous";
/// The same, and the result may be a view.
constexpr std::string_view views =
    "view unflatten.int permute transpose.int squeeze.dim unsqueeze expand "
    "slice.Tensor narrow select.int";

std::vector<std::string_view> words(std::string_view text)
{
    std::vector<std::string_view> found;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find(' '), text.size());
        found.push_back(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return found;
}

const std::vector<Operator>& operators()
{
    static const std::vector<Operator> list = [] {
        std::vector<Operator> all = {
            {"conv1d", convolved, convolution_macs},
            {"conv2d", convolved, convolution_macs},
            {"conv3d", convolved, convolution_macs},
            {"conv_transpose2d.input", convolved, transposed_macs},
            {"linear", {}, product_macs<0>},
            {"matmul", {}, product_macs<0>},
            {"bmm", {}, product_macs<0>},
            {"addmm", {}, product_macs<1>},
            {"baddbmm", {}, product_macs<1>},
            {"scaled_dot_product_attention", attended, attention_macs, attention_weights},
            {"adaptive_avg_pool1d", resized},
            {"adaptive_avg_pool2d", resized},
            {"pad", padded},
            {"var.correction", spread},
            {"std.correction", spread},
            {"where.self", chosen},
            {"index_select", selected},
            {"grid_sampler", sampled},
        };
        for (const std::string_view name : words(keeping_the_shape))
            all.push_back({name, same_as_first});
        for (const std::string_view name : words(known_to_aten)) all.push_back({name});
        for (const std::string_view name : words(views)) {
            all.push_back({name});
            all.back().is_view = true;
        }
        std::sort(all.begin(), all.end(),
                  [](const Operator& a, const Operator& b) { return a.name < b.name; });
        return all;
    }();
    return list;
}

}  // namespace

const Operator* find_operator(std::string_view name)
{
    const auto found =
        std::lower_bound(operators().begin(), operators().end(), name,
                         [](const Operator& op, std::string_view key) { return op.name < key; });
    return found != operators().end() && found->name == name ? &*found : nullptr;
}

c10::OperatorHandle operator_handle(const Operator& op)
{
    const std::size_t dot = op.name.find('.');
    const std::string base = fmt::format("aten::{}", op.name.substr(0, dot));
    const std::string overload(dot == std::string_view::npos ? "" : op.name.substr(dot + 1));
    return c10::Dispatcher::singleton().findSchemaOrThrow(base.c_str(), overload.c_str());
}

std::vector<std::string> graph_operators()
{
    std::vector<std::string> names;
    for (const Operator& op : operators()) names.emplace_back(op.name);
    return names;
}

}  // namespace twinscreen
