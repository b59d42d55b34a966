#include "engine/twin/graph/arguments.hpp"

#include <algorithm>
#include <optional>

#include <ATen/core/jit_type.h>

#include "engine/base/error.hpp"

namespace twinscreen {

namespace {

using c10::TypeKind;
using Kind = GraphArgument::Kind;

bool is_integer(const c10::Type& type)
{
    return type.kind() == TypeKind::IntType || type.kind() == TypeKind::SymIntType;
}

bool is_number(const c10::Type& type)
{
    return type.kind() == TypeKind::FloatType || type.kind() == TypeKind::NumberType;
}

/// The type without "or null".
c10::TypePtr needed_type(const c10::Argument& formal)
{
    const c10::TypePtr type = formal.real_type();
    const auto optional = type->cast<c10::OptionalType>();
    return optional ? optional->getElementType() : type;
}

bool may_be_null(const c10::Argument& formal)
{
    return formal.real_type()->kind() == TypeKind::OptionalType;
}

GraphArgument fixed(c10::IValue value)
{
    GraphArgument argument;
    argument.fixed = std::move(value);
    return argument;
}

GraphArgument integers(Kind kind, std::vector<Extent> extents)
{
    GraphArgument argument;
    argument.kind = kind;
    argument.extents = std::move(extents);
    return argument;
}

std::vector<std::int64_t> values_of_extents(const std::vector<Extent>& extents)
{
    std::vector<std::int64_t> values;
    for (const Extent& extent : extents) values.push_back(extent.value);
    return values;
}

bool any_per_row(const std::vector<Extent>& extents)
{
    return std::any_of(extents.begin(), extents.end(), [](Extent e) { return e.per_row; });
}

/// One number, truth value or text of the schema's type.
std::optional<GraphArgument> single(const c10::Type& type, const Attribute& value)
{
    if (const auto* extent = std::get_if<Extent>(&value)) {
        if (extent->per_row)
            return is_integer(type) ? std::optional(integers(Kind::integer, {*extent}))
                                    : std::nullopt;
        if (is_integer(type) || type.kind() == TypeKind::NumberType) return fixed(extent->value);
        if (is_number(type)) return fixed(static_cast<double>(extent->value));
    }
    if (const auto* number = std::get_if<double>(&value))
        return is_number(type) ? std::optional(fixed(*number)) : std::nullopt;
    if (const auto* truth = std::get_if<bool>(&value))
        return type.kind() == TypeKind::BoolType ? std::optional(fixed(*truth)) : std::nullopt;
    if (const auto* text = std::get_if<std::string>(&value))
        return type.kind() == TypeKind::StringType ? std::optional(fixed(*text)) : std::nullopt;
    return std::nullopt;
}

/// A list of the schema's type; one number stands for the same one on every axis.
std::optional<GraphArgument> list(const c10::Type& element, const Attribute& value,
                                  std::optional<std::int32_t> length)
{
    const auto* extents = std::get_if<std::vector<Extent>>(&value);
    const auto* numbers = std::get_if<std::vector<double>>(&value);
    if (is_integer(element)) {
        if (const auto* one = std::get_if<Extent>(&value); one != nullptr && length)
            return list(element, std::vector<Extent>(static_cast<std::size_t>(*length), *one), {});
        if (extents == nullptr) return std::nullopt;
        if (any_per_row(*extents)) return integers(Kind::integers, *extents);
        return fixed(values_of_extents(*extents));
    }
    if (element.kind() != TypeKind::FloatType) return std::nullopt;
    if (numbers != nullptr) return fixed(*numbers);
    if (extents == nullptr || any_per_row(*extents)) return std::nullopt;
    const std::vector<std::int64_t> whole = values_of_extents(*extents);
    return fixed(std::vector<double>(whole.begin(), whole.end()));
}

std::optional<GraphArgument> from_attribute(const c10::Argument& formal, const Attribute& value)
{
    if (std::holds_alternative<std::monostate>(value))
        return may_be_null(formal) ? std::optional(fixed({})) : std::nullopt;
    const c10::TypePtr type = needed_type(formal);
    if (const auto of = type->cast<c10::ListType>())
        return list(*of->getElementType(), value, formal.N());
    return single(*type, value);
}

std::optional<GraphArgument> from_values(
    const c10::Argument& formal, const ValueNames& values,
    const std::function<std::size_t(const std::string&)>& slot_named)
{
    const c10::TypePtr type = needed_type(formal);
    const auto of = type->cast<c10::ListType>();
    const bool wants_list = of && of->getElementType()->kind() == TypeKind::TensorType;
    if (wants_list != values.is_list || (!wants_list && type->kind() != TypeKind::TensorType))
        return std::nullopt;
    GraphArgument argument;
    argument.kind = wants_list ? Kind::list : Kind::value;
    for (const std::string& name : values.names) argument.slots.push_back(slot_named(name));
    return argument;
}

/// Arguments that would make an operator draw random numbers or learn.
bool has_state(const std::string& name, const GraphArgument& argument)
{
    if (argument.kind != Kind::fixed) return false;
    if (name == "training" || name == "use_input_stats")
        return name == "training" && argument.fixed.isBool() && argument.fixed.toBool();
    return name == "dropout_p" && argument.fixed.isDouble() && argument.fixed.toDouble() != 0.0;
}

}  // namespace

std::vector<GraphArgument> arguments_of(
    const c10::OperatorHandle& handle, const GraphNode& node,
    const std::function<std::size_t(const std::string&)>& slot_named,
    std::vector<std::string>& problems)
{
    std::vector<GraphArgument> arguments;
    std::size_t taken = 0;
    for (const c10::Argument& formal : handle.schema().arguments()) {
        const auto input = node.inputs.find(formal.name());
        const auto attribute = node.attributes.find(formal.name());
        std::optional<GraphArgument> argument;
        if (input != node.inputs.end())
            argument = from_values(formal, input->second, slot_named);
        else if (attribute != node.attributes.end())
            argument = from_attribute(formal, attribute->second);
        else if (formal.default_value())
            argument = fixed(*formal.default_value());
        const bool is_given = input != node.inputs.end() || attribute != node.attributes.end();
        taken += is_given ? 1 : 0;
        if (!argument)
            problems.push_back(fmt::format("{} '{}' {} (the operator wants {})",
                                           is_given ? "argument" : "the argument", formal.name(),
                                           is_given ? "has the wrong type" : "is missing",
                                           formal.real_type()->repr_str()));
        else if (has_state(formal.name(), *argument))
            problems.push_back(fmt::format(
                "'{}' makes it random or lets it learn; export the model in evaluation mode",
                formal.name()));
        arguments.push_back(argument.value_or(GraphArgument{}));
    }
    if (taken == node.inputs.size() + node.attributes.size()) return arguments;
    const auto has = [&](const std::string& name) {
        return handle.schema().argumentIndexWithName(name).has_value();
    };
    for (const auto& [name, values] : node.inputs)
        if (!has(name)) problems.push_back(fmt::format("it takes no argument '{}'", name));
    for (const auto& [name, value] : node.attributes)
        if (!has(name)) problems.push_back(fmt::format("it takes no argument '{}'", name));
    return arguments;
}

void fix_constants(GraphArgument& argument, const std::vector<at::Tensor>& constants)
{
    const auto is_constant = [&](std::size_t slot) { return constants[slot].defined(); };
    if (argument.slots.empty() ||
        !std::all_of(argument.slots.begin(), argument.slots.end(), is_constant))
        return;
    if (argument.kind == Kind::value) {
        argument.fixed = constants[argument.slots[0]];
    } else {
        c10::List<at::Tensor> tensors;
        for (const std::size_t slot : argument.slots) tensors.push_back(constants[slot]);
        argument.fixed = std::move(tensors);
    }
    argument.kind = Kind::fixed;
    argument.slots.clear();
}

}  // namespace twinscreen
