#include "experiments/relational_control/search/device_memory.hpp"

namespace twinscreen {
namespace {

constexpr std::int64_t floats_of_block = std::int64_t{1} << 24U;  // 64 MiB

struct Block {
    Block(Executor& executor, std::int64_t rows, std::int64_t columns)
        : memory(executor, ElementType::f32, {rows, columns}, ExecutorMemory::Place::pinned),
          copied(executor.make_milestone())
    {
    }

    ExecutorMemory memory;
    std::unique_ptr<Milestone> copied;
};

}  // namespace

ExecutorMemory uploaded_rows(std::int64_t rows, std::int64_t columns, const FillRows& fill,
                             Executor& executor)
{
    ExecutorMemory table(executor, ElementType::f32, {rows, columns});
    const std::int64_t at_once =
        std::clamp(floats_of_block / std::max<std::int64_t>(columns, 1), std::int64_t{1}, rows);
    std::array<Block, 2> blocks{Block(executor, at_once, columns),
                                Block(executor, at_once, columns)};
    for (std::int64_t first = 0; first < rows; first += at_once) {
        Block& block = blocks[static_cast<std::size_t>(first / at_once % 2)];
        const std::int64_t count = std::min(at_once, rows - first);
        block.copied->wait();
        fill(first, count, values_of<float>(block.memory.view()).data());
        executor.copy(rows_of(table.view(), first, count), rows_of(block.memory.view(), 0, count));
        block.copied->set();
    }
    for (Block& block : blocks) block.copied->wait();
    return table;
}

}  // namespace twinscreen
