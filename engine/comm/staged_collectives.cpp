#include <algorithm>
#include <cstddef>
#include <span>

#include "engine/comm/collectives_backends.hpp"
#include "engine/comm/element_sum.hpp"
#include "engine/device/executor_memory.hpp"

namespace twinscreen {
namespace {

/// A GPU's values pass through host memory in pieces of this size; a multiple of every element.
constexpr std::size_t piece_bytes = std::size_t{4} << 20U;

std::byte* start_of(const Batch& batch) { return static_cast<std::byte*>(batch.data); }

Batch as_bytes(void* data, std::size_t bytes, MemorySpace space)
{
    return {data, ElementType::u8, {static_cast<std::int64_t>(bytes)}, space};
}

/// Pinned memory that a piece of a batch visits.
class Stop {
public:
    Stop(Executor& executor, std::size_t bytes)
        : executor_(executor),
          memory_(executor, ElementType::u8, {static_cast<std::int64_t>(bytes)},
                  ExecutorMemory::Place::pinned)
    {
    }

    std::byte* data() const { return start_of(memory_.view()); }

    /// Waits until they are here.
    void take(const std::byte* from, std::size_t bytes)
    {
        executor_.copy(as_bytes(data(), bytes, MemorySpace::host),
                       ConstBatch(from, ElementType::u8, {static_cast<std::int64_t>(bytes)},
                                  executor_.space()));
        executor_.synchronize();
    }

    /// Starts a copy; this memory stays as it is until the executor has been waited for.
    ///
    /// offset  of the first byte in this memory
    void give(std::size_t offset, std::byte* to, std::size_t bytes)
    {
        executor_.copy(as_bytes(to, bytes, executor_.space()),
                       as_bytes(data() + offset, bytes, MemorySpace::host));
    }

private:
    Executor& executor_;
    ExecutorMemory memory_;
};

class StagedCollectives final : public DeviceCollectives {
public:
    explicit StagedCollectives(Communicator& communicator) : communicator_(communicator) {}

    std::string_view backend() const noexcept override { return "staged"; }

    void broadcast(Batch values, int root, Executor& executor) override
    {
        const bool sends = communicator_.rank() == root;
        in_pieces(values, executor, {.reads = sends, .writes = !sends},
                  [&](std::span<std::byte> piece) { communicator_.broadcast(piece, root); });
    }

    void sum_in_place(Batch values, Executor& executor) override
    {
        in_pieces(
            values, executor, {.reads = true, .writes = true},
            [&](std::span<std::byte> piece) { sum_over_ranks(piece, values.type, communicator_); });
    }

    void all_gather(ConstBatch mine, Batch all, Executor& executor) override
    {
        require_space(mine, executor);
        require_space(all, executor);
        require_room(mine, all, communicator_.size());
        const std::size_t bytes = bytes_of(mine);
        const auto* const from = static_cast<const std::byte*>(mine.data);
        if (executor.space() == MemorySpace::host) {
            executor.synchronize();
            communicator_.all_gather({from, bytes}, {start_of(all), bytes_of(all)});
            return;
        }
        const auto ranks = static_cast<std::size_t>(communicator_.size());
        const std::size_t longest = std::min(bytes, std::max(piece_bytes / ranks, std::size_t{1}));
        Stop mine_here(executor, longest);
        Stop all_here(executor, ranks * longest);
        for (std::size_t at = 0; at < bytes; at += longest) {
            const std::size_t length = std::min(longest, bytes - at);
            mine_here.take(from + at, length);
            communicator_.all_gather({mine_here.data(), length}, {all_here.data(), ranks * length});
            for (std::size_t rank = 0; rank < ranks; ++rank)
                all_here.give(rank * length, start_of(all) + rank * bytes + at, length);
            executor.synchronize();
        }
    }

private:
    struct Need {
        bool reads = false;   ///< the values as they are
        bool writes = false;  ///< the values as they become
    };

    /// Calls `exchange` with the bytes of consecutive pieces, in host memory.
    template <class Exchange>
    static void in_pieces(Batch values, Executor& executor, Need need, Exchange exchange)
    {
        require_space(values, executor);
        const std::size_t bytes = bytes_of(values);
        const bool is_here = executor.space() == MemorySpace::host;
        if (is_here) executor.synchronize();
        Stop here(executor, is_here ? 0 : std::min(bytes, piece_bytes));
        for (std::size_t at = 0; at < bytes; at += piece_bytes) {
            const std::size_t length = std::min(piece_bytes, bytes - at);
            std::byte* const place = start_of(values) + at;
            if (is_here) {
                exchange(std::span(place, length));
                continue;
            }
            if (need.reads) here.take(place, length);
            exchange(std::span(here.data(), length));
            if (!need.writes) continue;
            here.give(0, place, length);
            executor.synchronize();
        }
    }

    Communicator& communicator_;
};

}  // namespace

std::unique_ptr<DeviceCollectives> make_staged_collectives(Communicator& communicator)
{
    return std::make_unique<StagedCollectives>(communicator);
}

}  // namespace twinscreen
