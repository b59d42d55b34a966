#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <utility>

#include <ATen/Context.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAFunctions.h>
#include <c10/cuda/CUDAStream.h>
#include <c10/util/Exception.h>
#include <dlfcn.h>

#include "engine/base/log.hpp"
#include "engine/device/cuda_check.hpp"
#include "engine/device/gpus.hpp"
#include "engine/twin/called_again.hpp"
#include "engine/twin/torch_device.hpp"

namespace twinscreen {

namespace {

/// Why LibTorch's CUDA library could not be opened; empty: it is open, or nobody tried.
std::string& why_closed()
{
    static std::string reason;
    return reason;
}

/// cuBLAS repeats its bits only with a workspace of its own per stream, which it reads from here.
void ask_for_repeatable_products()
{
    constexpr int keep_what_is_there = 0;
    setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8", keep_what_is_there);
}

/// Full float32: no TF32, which keeps 10 of the 23 bits, and no sums in less where 16 bits are
/// multiplied. The same bits at every run: no algorithm
/// that is chosen by a stopwatch, none that adds in the order of arrival.
void ask_for_repeatable_bits()
{
    at::Context& context = at::globalContext();
    context.setAllowTF32CuBLAS(false);
    context.setAllowTF32CuDNN(false);
    context.setAllowFP16ReductionCuBLAS(false);
    context.setAllowBF16ReductionCuBLAS(false);
    context.setBenchmarkCuDNN(false);
    context.setDeterministicCuDNN(true);
    constexpr bool only_warn = false;
    context.setDeterministicAlgorithms(true, only_warn);
    context.setDeterministicFillUninitializedMemory(false);
}

/// Names of memory that recordings keep; nobody else in this program records.
c10::cuda::MempoolId_t next_pool()
{
    static std::atomic<std::uint64_t> last{0};
    return {++last, 0};
}

class RecordedGraph final : public RecordedWork {
public:
    explicit RecordedGraph(const Executor& executor)
        : stream_(static_cast<cudaStream_t>(executor.native_stream())),
          ordinal_(static_cast<c10::DeviceIndex>(executor.ordinal())),
          pool_(next_pool())
    {
    }
    ~RecordedGraph() override
    {
        cudaStreamSynchronize(stream_);  // its memory may go to others below
        if (graph_ != nullptr) cudaGraphExecDestroy(graph_);
        if (has_pool_) c10::cuda::CUDACachingAllocator::releasePool(ordinal_, pool_);
    }
    RecordedGraph(const RecordedGraph&) = delete;
    RecordedGraph& operator=(const RecordedGraph&) = delete;

    void give() override
    {
        cuda_check(cudaGraphLaunch(graph_, stream_), "giving recorded work to the GPU");
    }

    void record(const std::function<void()>& work)
    {
        c10::cuda::CUDACachingAllocator::beginAllocateToPool(
            ordinal_, pool_, [this](cudaStream_t stream) { return stream == stream_; });
        has_pool_ = true;
        cudaGraph_t recorded = nullptr;
        try {
            // Readers may allocate pinned memory meanwhile: this thread alone records.
            cuda_check(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal), doing);
            work();
            cuda_check(cudaStreamEndCapture(stream_, &recorded), doing);
        } catch (...) {
            cudaStreamEndCapture(stream_, &recorded);
            if (recorded != nullptr) cudaGraphDestroy(recorded);
            cudaGetLastError();  // it is told here; the next call must not find it again
            c10::cuda::CUDACachingAllocator::endAllocateToPool(ordinal_, pool_);
            throw;
        }
        c10::cuda::CUDACachingAllocator::endAllocateToPool(ordinal_, pool_);
        cudaError_t code = cudaGraphInstantiate(&graph_, recorded, 0);
        cudaGraphDestroy(recorded);
        if (code == cudaSuccess) code = cudaGraphUpload(graph_, stream_);  // takes its memory
        if (code != cudaSuccess) cudaGetLastError();                       // it is told here
        cuda_check(code, doing);
    }

private:
    static constexpr const char* doing = "recording the pass of a batch";

    cudaStream_t stream_;
    c10::DeviceIndex ordinal_;
    c10::cuda::MempoolId_t pool_;
    bool has_pool_ = false;
    cudaGraphExec_t graph_ = nullptr;
};

}  // namespace

std::unique_ptr<RecordedWork> record(const Executor& executor, std::function<void()> work)
{
    if (executor.space() == MemorySpace::host)
        return std::make_unique<CalledAgain>(std::move(work));
    auto graph = std::make_unique<RecordedGraph>(executor);
    try {
        with_device_errors(executor, [&] { graph->record(work); });
        return graph;
    } catch (const std::exception& error) {  // programs of other people may throw anything
        spdlog::warn("the pass of a batch is given to the GPU step by step: {}", error.what());
        return nullptr;
    }
}

void open_gpu_library()
{
    if (visible_gpus().names.empty()) return;
    ask_for_repeatable_products();
    if (dlopen("libtorch_cuda.so", RTLD_NOW | RTLD_GLOBAL) == nullptr) why_closed() = dlerror();
}

void use_for_networks(const Executor& executor)
{
    if (executor.space() == MemorySpace::host) return;
    if (!why_closed().empty())
        throw Error(Error::Kind::device,
                    fmt::format("LibTorch's CUDA library cannot be opened: {}", why_closed()),
                    "its libraries come with `pip install torch==2.11.0`; configure with -D "
                    "TWINSCREEN_LIBTORCH=$(python -c 'import torch; print(torch.__path__[0])')");
    with_device_errors(executor, [&] {
        at::globalContext().lazyInitDevice(at::kCUDA);
        const auto ordinal = static_cast<c10::DeviceIndex>(executor.ordinal());
        c10::cuda::set_device(ordinal);
        c10::cuda::setCurrentCUDAStream(c10::cuda::getStreamFromExternal(
            static_cast<cudaStream_t>(executor.native_stream()), ordinal));
    });
    ask_for_repeatable_bits();
}

void give_back_unused_memory(const Executor& executor)
{
    if (executor.space() == MemorySpace::device) c10::cuda::CUDACachingAllocator::emptyCache();
}

void with_device_errors(const Executor& executor, const std::function<void()>& work)
{
    try {
        work();
    } catch (const c10::OutOfMemoryError& error) {
        throw_device_error(cudaErrorMemoryAllocation, error.what_without_backtrace(),
                           "computing a batch");
    } catch (const c10::AcceleratorError& error) {
        throw_device_error(error.get_error_code(), error.what_without_backtrace(),
                           "computing a batch");
    } catch (const c10::Error& error) {
        if (executor.space() == MemorySpace::host) throw;
        throw Error(Error::Kind::device, fmt::format("computing a batch on {}: {}", executor.name(),
                                                     error.what_without_backtrace()));
    }
}

}  // namespace twinscreen
