#include <limits>

#include "engine/device/cuda_check.hpp"
#include "engine/device/gpus.hpp"

namespace twinscreen {
namespace {

constexpr double mib = 1024.0 * 1024.0;

cudaMemcpyKind direction(MemorySpace to, MemorySpace from)
{
    if (to == MemorySpace::device)
        return from == MemorySpace::device ? cudaMemcpyDeviceToDevice : cudaMemcpyHostToDevice;
    return from == MemorySpace::device ? cudaMemcpyDeviceToHost : cudaMemcpyHostToHost;
}

class CudaMilestone final : public Milestone {
public:
    CudaMilestone(cudaStream_t stream, std::uint64_t& waits) : stream_(stream), waits_(waits)
    {
        // Blocking: a rank that waits leaves its core to the readers.
        cuda_check(
            cudaEventCreateWithFlags(&event_, cudaEventDisableTiming | cudaEventBlockingSync),
            "making a milestone");
    }
    ~CudaMilestone() override { cudaEventDestroy(event_); }
    CudaMilestone(const CudaMilestone&) = delete;
    CudaMilestone& operator=(const CudaMilestone&) = delete;

    void set() override
    {
        cuda_check(cudaEventRecord(event_, stream_), "setting a milestone");
        is_set_ = true;
    }
    void wait() override
    {
        if (!is_set_) return;
        is_set_ = false;
        ++waits_;
        cuda_check(cudaEventSynchronize(event_), "waiting for the GPU");
    }
    /// An event that was never recorded holds nobody up.
    cudaEvent_t event() const noexcept { return event_; }

private:
    cudaStream_t stream_;
    std::uint64_t& waits_;
    cudaEvent_t event_ = nullptr;
    bool is_set_ = false;
};

class CudaExecutor final : public Executor {
public:
    explicit CudaExecutor(int ordinal) : ordinal_(ordinal)
    {
        const std::string doing = fmt::format("taking GPU {}", ordinal);
        cuda_check(cudaSetDevice(ordinal), doing);
        cudaDeviceProp properties{};
        cuda_check(cudaGetDeviceProperties(&properties, ordinal), doing);
        name_ = properties.name;
        // The first thing that needs the GPU itself: exclusive mode and dead GPUs show here.
        cuda_check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), doing);
        cuda_check(cudaStreamCreateWithFlags(&upload_stream_, cudaStreamNonBlocking), doing);
        cuda_check(cudaEventCreateWithFlags(&uploaded_, cudaEventDisableTiming), doing);
        keep_freed_memory(doing);
    }

    ~CudaExecutor() override
    {
        kept_.reset();
        cudaStreamSynchronize(upload_stream_);
        cudaStreamSynchronize(stream_);
        cudaEventDestroy(uploaded_);
        cudaStreamDestroy(upload_stream_);
        cudaStreamDestroy(stream_);
    }
    CudaExecutor(const CudaExecutor&) = delete;
    CudaExecutor& operator=(const CudaExecutor&) = delete;

    MemorySpace space() const noexcept override { return MemorySpace::device; }
    int ordinal() const noexcept override { return ordinal_; }
    std::string name() const override { return name_; }
    void* native_stream() const noexcept override { return stream_; }
    bool wants_whole_batches() const noexcept override { return true; }

    void* allocate(std::size_t bytes) override
    {
        void* block = nullptr;
        const cudaError_t code = cudaMallocAsync(&block, bytes, stream_);
        if (code == cudaErrorMemoryAllocation) {
            cudaGetLastError();  // it is told here; the next call must not find it again
            throw_device_error(code, cudaGetErrorString(code),
                               fmt::format("allocating {:.0f} MiB on GPU {} ({:.0f} MiB are free)",
                                           static_cast<double>(bytes) / mib, ordinal_,
                                           static_cast<double>(free_bytes()) / mib));
        }
        cuda_check(code, "allocating memory on the GPU");
        return block;
    }
    void deallocate(void* block) noexcept override
    {
        if (block != nullptr) cudaFreeAsync(block, stream_);
    }

    void* allocate_pinned(std::size_t bytes) override
    {
        // A thread of its own starts at GPU 0, which may be another rank's.
        cuda_check(cudaSetDevice(ordinal_), "allocating pinned host memory");
        void* block = nullptr;
        const cudaError_t code = cudaMallocHost(&block, bytes);
        if (code != cudaSuccess) cudaGetLastError();  // it is told here
        cuda_check(code, fmt::format("allocating {:.0f} MiB of pinned host memory",
                                     static_cast<double>(bytes) / mib));
        return block;
    }
    void deallocate_pinned(void* block) noexcept override
    {
        if (block == nullptr) return;
        cudaSetDevice(ordinal_);
        cudaFreeHost(block);
    }

    void copy(Batch to, ConstBatch from) override
    {
        TWINSCREEN_REQUIRE(to.type == from.type && to.shape == from.shape, internal,
                           "copy between batches of different shape or type");
        cuda_check(cudaMemcpyAsync(to.data, from.data, bytes_of(from),
                                   direction(to.space, from.space), stream_),
                   "copying a batch");
    }

    void upload(Batch to, ConstBatch from, Milestone& is_free) override
    {
        TWINSCREEN_REQUIRE(to.type == from.type && to.shape == from.shape, internal,
                           "upload between batches of different shape or type");
        const char* doing = "sending a batch";
        cuda_check(
            cudaStreamWaitEvent(upload_stream_, static_cast<CudaMilestone&>(is_free).event()),
            doing);
        cuda_check(cudaMemcpyAsync(to.data, from.data, bytes_of(from), cudaMemcpyHostToDevice,
                                   upload_stream_),
                   doing);
        cuda_check(cudaEventRecord(uploaded_, upload_stream_), doing);
        cuda_check(cudaStreamWaitEvent(stream_, uploaded_), doing);
    }

    std::unique_ptr<Milestone> make_milestone() override
    {
        return std::make_unique<CudaMilestone>(stream_, waits_);
    }

    void synchronize() override
    {
        ++waits_;
        cuda_check(cudaStreamSynchronize(stream_), "waiting for the GPU");
    }

    std::uint64_t waits() const noexcept override { return waits_; }

    std::size_t free_bytes() const override
    {
        std::size_t free = 0;
        std::size_t total = 0;
        cuda_check(cudaMemGetInfo(&free, &total), "asking for the GPU's free memory");
        return free + pool_bytes(cudaMemPoolAttrReservedMemCurrent) -
               pool_bytes(cudaMemPoolAttrUsedMemCurrent);
    }

    std::size_t total_bytes() const override
    {
        std::size_t free = 0;
        std::size_t total = 0;
        cuda_check(cudaMemGetInfo(&free, &total), "asking for the GPU's memory");
        return total;
    }

    std::unique_ptr<Kept>& kept() noexcept override { return kept_; }

private:
    cudaMemPool_t pool() const
    {
        cudaMemPool_t pool = nullptr;
        cuda_check(cudaDeviceGetDefaultMemPool(&pool, ordinal_), "asking for the GPU's memory");
        return pool;
    }

    std::uint64_t pool_bytes(cudaMemPoolAttr what) const
    {
        std::uint64_t bytes = 0;
        cuda_check(cudaMemPoolGetAttribute(pool(), what, &bytes), "asking for the GPU's memory");
        return bytes;
    }

    /// Blocks freed on the stream serve the next allocation instead of going back to the driver.
    void keep_freed_memory(const std::string& doing) const
    {
        std::uint64_t keep = std::numeric_limits<std::uint64_t>::max();
        cuda_check(cudaMemPoolSetAttribute(pool(), cudaMemPoolAttrReleaseThreshold, &keep), doing);
    }

    int ordinal_;
    std::string name_;
    cudaStream_t stream_ = nullptr;
    cudaStream_t upload_stream_ = nullptr;
    cudaEvent_t uploaded_ = nullptr;
    std::uint64_t waits_ = 0;
    std::unique_ptr<Kept> kept_;
};

}  // namespace

bool built_for_gpus() noexcept { return true; }

VisibleGpus visible_gpus()
{
    VisibleGpus gpus;
    int count = 0;
    try {
        cuda_check(cudaGetDeviceCount(&count), "looking for GPUs");
        for (int ordinal = 0; ordinal < count; ++ordinal) {
            cudaDeviceProp properties{};
            cuda_check(cudaGetDeviceProperties(&properties, ordinal), "looking for GPUs");
            gpus.names.emplace_back(properties.name);
        }
    } catch (const Error& error) {
        cudaGetLastError();
        gpus.names.clear();
        gpus.why_none = error.what();
    }
    if (gpus.names.empty() && gpus.why_none.empty()) gpus.why_none = "no GPU is visible";
    return gpus;
}

std::unique_ptr<Executor> make_gpu_executor(int ordinal)
{
    return std::make_unique<CudaExecutor>(ordinal);
}

}  // namespace twinscreen
