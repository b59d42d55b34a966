#include <cstdlib>
#include <cstring>

#include "engine/device/executor.hpp"

namespace twinscreen {
namespace {

class HostExecutor final : public Executor {
public:
    MemorySpace space() const noexcept override { return MemorySpace::host; }
    int ordinal() const noexcept override { return -1; }
    void* native_stream() const noexcept override { return nullptr; }

    void* allocate(std::size_t bytes) override
    {
        constexpr std::size_t alignment = 64;
        void* block = std::aligned_alloc(alignment, (bytes + alignment) / alignment * alignment);
        TWINSCREEN_REQUIRE(block != nullptr, device, "cannot allocate {} bytes of host memory",
                           bytes);
        return block;
    }

    void deallocate(void* block) noexcept override { std::free(block); }

    void copy(Batch to, ConstBatch from) override
    {
        TWINSCREEN_REQUIRE(to.type == from.type && to.shape == from.shape, internal,
                           "copy between batches of different shape or type");
        std::memcpy(to.data, from.data, bytes_of(from));
    }

    void synchronize() override {}
};

}  // namespace

std::unique_ptr<Executor> make_host_executor() { return std::make_unique<HostExecutor>(); }

}  // namespace twinscreen
