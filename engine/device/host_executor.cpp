#include <cstdlib>
#include <cstring>
#include <unistd.h>

#include "engine/base/memory.hpp"
#include "engine/device/executor.hpp"

namespace twinscreen {
namespace {

/// Work is done when it is asked for.
class PastMilestone final : public Milestone {
public:
    void set() override {}
    void wait() override {}
};

class HostExecutor final : public Executor {
public:
    explicit HostExecutor(bool emulates_device) : emulates_device_(emulates_device) {}

    MemorySpace space() const noexcept override { return MemorySpace::host; }
    int ordinal() const noexcept override { return -1; }
    std::string name() const override { return emulates_device_ ? "emulated" : "host"; }
    void* native_stream() const noexcept override { return nullptr; }
    bool wants_whole_batches() const noexcept override { return emulates_device_; }

    void* allocate(std::size_t bytes) override
    {
        constexpr std::size_t alignment = 64;
        void* block = std::aligned_alloc(alignment, (bytes + alignment) / alignment * alignment);
        TWINSCREEN_REQUIRE(block != nullptr, device, "cannot allocate {} bytes of host memory",
                           bytes);
        return block;
    }
    void deallocate(void* block) noexcept override { std::free(block); }
    void* allocate_pinned(std::size_t bytes) override { return allocate(bytes); }
    void deallocate_pinned(void* block) noexcept override { deallocate(block); }

    void copy(Batch to, ConstBatch from) override
    {
        TWINSCREEN_REQUIRE(to.type == from.type && to.shape == from.shape, internal,
                           "copy between batches of different shape or type");
        std::memcpy(to.data, from.data, bytes_of(from));
    }
    void upload(Batch to, ConstBatch from, Milestone&) override { copy(to, from); }

    std::unique_ptr<Milestone> make_milestone() override
    {
        return std::make_unique<PastMilestone>();
    }
    void synchronize() override {}
    std::uint64_t waits() const noexcept override { return 0; }
    std::size_t free_bytes() const override { return available_memory(); }
    std::size_t total_bytes() const override
    {
        return static_cast<std::size_t>(sysconf(_SC_PHYS_PAGES)) *
               static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    }
    std::unique_ptr<Kept>& kept() noexcept override { return kept_; }

private:
    bool emulates_device_;
    std::unique_ptr<Kept> kept_;
};

}  // namespace

std::unique_ptr<Executor> make_host_executor() { return std::make_unique<HostExecutor>(false); }

std::unique_ptr<Executor> make_emulated_executor() { return std::make_unique<HostExecutor>(true); }

}  // namespace twinscreen
