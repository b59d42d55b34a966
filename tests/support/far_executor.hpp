#pragma once

#include "engine/device/executor.hpp"

namespace twinscreen::test {

/// An executor whose memory counts as a GPU's, on the processor: what is for the host must pass
/// through copies.
class FarExecutor final : public Executor {
public:
    explicit FarExecutor(int ordinal) : ordinal_(ordinal) {}

    MemorySpace space() const noexcept override { return MemorySpace::device; }
    int ordinal() const noexcept override { return ordinal_; }
    std::string name() const override { return "far"; }
    void* native_stream() const noexcept override { return nullptr; }
    bool wants_whole_batches() const noexcept override { return true; }
    void* allocate(std::size_t bytes) override { return host_->allocate(bytes); }
    void deallocate(void* block) noexcept override { host_->deallocate(block); }
    void* allocate_pinned(std::size_t bytes) override { return host_->allocate_pinned(bytes); }
    void deallocate_pinned(void* block) noexcept override { host_->deallocate_pinned(block); }
    void copy(Batch to, ConstBatch from) override { host_->copy(to, from); }
    void upload(Batch to, ConstBatch from, Milestone&) override { copy(to, from); }
    std::unique_ptr<Milestone> make_milestone() override { return host_->make_milestone(); }
    void synchronize() override { ++waits_; }
    std::uint64_t waits() const noexcept override { return waits_; }
    std::size_t free_bytes() const override { return host_->free_bytes(); }
    std::size_t total_bytes() const override { return host_->total_bytes(); }
    std::unique_ptr<Kept>& kept() noexcept override { return host_->kept(); }

private:
    std::unique_ptr<Executor> host_ = make_host_executor();
    int ordinal_;
    std::uint64_t waits_ = 0;
};

}  // namespace twinscreen::test
