#include "engine/twin/graph/call.hpp"

#include <algorithm>

namespace twinscreen {

bool GraphCall::is_constant() const noexcept
{
    return std::all_of(arguments.begin(), arguments.end(), [](const GraphArgument& argument) {
        return argument.kind == GraphArgument::Kind::fixed;
    });
}

torch::jit::Stack stack_of(const GraphCall& call, const std::vector<at::Tensor>& slots,
                           std::int64_t rows)
{
    torch::jit::Stack stack;
    stack.reserve(call.arguments.size());
    for (const GraphArgument& argument : call.arguments) switch (argument.kind) {
            case GraphArgument::Kind::fixed: stack.push_back(argument.fixed); break;
            case GraphArgument::Kind::value: stack.emplace_back(slots[argument.slots[0]]); break;
            case GraphArgument::Kind::list: {
                c10::List<at::Tensor> list;
                for (const std::size_t slot : argument.slots) list.push_back(slots[slot]);
                stack.emplace_back(std::move(list));
                break;
            }
            case GraphArgument::Kind::integer:
                stack.emplace_back(argument.extents[0].at(rows));
                break;
            case GraphArgument::Kind::integers: {
                std::vector<std::int64_t> integers;
                for (const Extent& extent : argument.extents) integers.push_back(extent.at(rows));
                stack.emplace_back(std::move(integers));
                break;
            }
        }
    return stack;
}

}  // namespace twinscreen
