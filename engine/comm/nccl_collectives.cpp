#include <exception>
#include <future>
#include <string>
#include <thread>
#include <utility>

#include <cuda_runtime_api.h>
#include <nccl.h>

#include "engine/comm/collectives_backends.hpp"
#include "engine/comm/operation_watch.hpp"
#include "engine/device/cuda_check.hpp"

namespace twinscreen {
namespace {

using Clock = OperationWatch::Clock;
using Progress = OperationState::Progress;
using std::chrono::milliseconds;

/// An abort that itself stands still is left behind: the process ends soon.
constexpr milliseconds abort_time{5000};

ncclDataType_t nccl_type(ElementType type)
{
    switch (type) {
        case ElementType::u8: return ncclUint8;
        case ElementType::i32: return ncclInt32;
        case ElementType::i64: return ncclInt64;
        case ElementType::u64: return ncclUint64;
        case ElementType::f16: return ncclFloat16;
        case ElementType::bf16: return ncclBfloat16;
        case ElementType::f32: return ncclFloat32;
        case ElementType::f64: return ncclFloat64;
    }
    return ncclUint8;
}

double mib_of(const ConstBatch& batch)
{
    return static_cast<double>(bytes_of(batch)) / (1024.0 * 1024.0);
}

cudaStream_t stream_of(const Executor& executor)
{
    return static_cast<cudaStream_t>(executor.native_stream());
}

/// A communicator that never blocks: every call is followed by looks at it until it is through.
class Nccl {
public:
    /// Collective.
    Nccl(Communicator& communicator, milliseconds patience)
        : patience_(patience), exceptions_(std::uncaught_exceptions())
    {
        const std::string doing = "connecting the GPUs of all ranks";
        ncclUniqueId id{};
        if (communicator.rank() == 0) {
            const ncclResult_t result = ncclGetUniqueId(&id);
            if (result != ncclSuccess) throw failure(doing, result);
        }
        communicator.broadcast(std::as_writable_bytes(std::span(&id, 1)), 0);
        ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
        config.blocking = 0;
        start(doing, ncclCommInitRankConfig(&comm_, communicator.size(), id, communicator.rank(),
                                            &config));
        wait(doing, patience_, [] { return true; });
    }

    /// Ranks leave together, unless an exception unwinds.
    ~Nccl()
    {
        if (comm_ == nullptr) return;
        if (std::uncaught_exceptions() > exceptions_) {
            abort();
            return;
        }
        try {
            const std::string doing = "closing the connection of the GPUs";
            start(doing, ncclCommFinalize(comm_));
            wait(doing, patience_, [] { return true; });
            ncclCommDestroy(comm_);
        } catch (const Error&) {  // aborted; the results are there
        }
    }

    Nccl(const Nccl&) = delete;
    Nccl& operator=(const Nccl&) = delete;

    ncclComm_t native() const
    {
        TWINSCREEN_REQUIRE(comm_ != nullptr, communication,
                           "the connection of the GPUs was ended after an error");
        return comm_;
    }

    /// A call of NCCL whose work is on the stream now, until it is done.
    void finish(const std::string& doing, ncclResult_t called, std::size_t bytes,
                cudaStream_t stream)
    {
        start(doing, called);
        wait(doing, time_limit(patience_, bytes), [&] {
            const cudaError_t code = cudaStreamQuery(stream);
            if (code == cudaErrorNotReady) return false;
            cuda_check(code, doing);
            return true;
        });
    }

private:
    void start(const std::string& doing, ncclResult_t called)
    {
        if (called == ncclSuccess || called == ncclInProgress) return;
        const Error error = failure(doing, called);
        abort();
        throw error;
    }

    /// is_done  asked once NCCL itself is through
    template <class IsDone>
    void wait(const std::string& doing, milliseconds limit, IsDone is_done)
    {
        OperationWatch watch(doing, limit, Clock::now());
        for (;;) {
            switch (watch.decide(look(is_done), Clock::now())) {
                case OperationWatch::Decision::finish: return;
                case OperationWatch::Decision::look_again:
                    std::this_thread::sleep_for(watch.pause());
                    break;
                case OperationWatch::Decision::give_up: abort(); throw watch.error();
            }
        }
    }

    template <class IsDone>
    OperationState look(IsDone is_done) const
    {
        ncclResult_t state = ncclSuccess;
        const ncclResult_t asked = ncclCommGetAsyncError(comm_, &state);
        if (asked != ncclSuccess) return {Progress::failed, text(asked)};
        if (state == ncclInProgress) return {Progress::running, {}};
        if (state != ncclSuccess) return {Progress::failed, text(state)};
        return {is_done() ? Progress::done : Progress::running, {}};
    }

    std::string text(ncclResult_t result) const
    {
        const char* const last = ncclGetLastError(comm_);
        const std::string more = last == nullptr ? "" : last;
        return fmt::format("{}{}{}", ncclGetErrorString(result), more.empty() ? "" : ": ", more);
    }

    Error failure(const std::string& doing, ncclResult_t result) const
    {
        OperationWatch watch(doing, {}, Clock::now());
        watch.decide({Progress::failed, text(result)}, Clock::now());
        return watch.error();
    }

    /// Ends what still runs on the GPU.
    void abort() noexcept
    {
        const ncclComm_t comm = std::exchange(comm_, nullptr);
        if (comm == nullptr) return;
        std::promise<void> is_over;
        std::future<void> over = is_over.get_future();
        std::thread([comm, told = std::move(is_over)]() mutable {
            ncclCommAbort(comm);
            told.set_value();
        }).detach();
        over.wait_for(abort_time);
    }

    ncclComm_t comm_ = nullptr;
    milliseconds patience_;
    int exceptions_;
};

class NcclCollectives final : public DeviceCollectives {
public:
    NcclCollectives(Communicator& communicator, Executor& executor, milliseconds patience)
        : communicator_(communicator), ordinal_(executor.ordinal()), nccl_(communicator, patience)
    {
    }

    std::string_view backend() const noexcept override { return "nccl"; }

    void broadcast(Batch values, int root, Executor& executor) override
    {
        if (values.shape.count() == 0) return;
        meet(values, executor);
        nccl_.finish(
            fmt::format("broadcasting {:.3g} MiB from rank {}", mib_of(values), root),
            ncclBroadcast(values.data, values.data, count_of(values), nccl_type(values.type), root,
                          nccl_.native(), stream_of(executor)),
            bytes_of(values), stream_of(executor));
    }

    void sum_in_place(Batch values, Executor& executor) override
    {
        if (values.shape.count() == 0) return;
        meet(values, executor);
        nccl_.finish(
            fmt::format("adding {:.3g} MiB of all ranks", mib_of(values)),
            ncclAllReduce(values.data, values.data, count_of(values), nccl_type(values.type),
                          ncclSum, nccl_.native(), stream_of(executor)),
            bytes_of(values), stream_of(executor));
    }

    void all_gather(ConstBatch mine, Batch all, Executor& executor) override
    {
        require_room(mine, all, communicator_.size());
        if (mine.shape.count() == 0) return;
        require_space(all, executor);
        meet(mine, executor);
        nccl_.finish(fmt::format("gathering {:.3g} MiB of all ranks", mib_of(all)),
                     ncclAllGather(mine.data, all.data, count_of(mine), nccl_type(mine.type),
                                   nccl_.native(), stream_of(executor)),
                     bytes_of(all), stream_of(executor));
    }

private:
    static std::size_t count_of(const ConstBatch& batch)
    {
        return static_cast<std::size_t>(batch.shape.count());
    }

    /// Until all ranks have done what comes before: the time that NCCL is given is its own. A rank
    /// that never comes is the heartbeat's business.
    void meet(const ConstBatch& batch, Executor& executor)
    {
        require_space(batch, executor);
        TWINSCREEN_REQUIRE(executor.ordinal() == ordinal_, internal,
                           "these collectives were made for GPU {}, not GPU {}", ordinal_,
                           executor.ordinal());
        executor.synchronize();
        communicator_.barrier();
    }

    Communicator& communicator_;
    int ordinal_;
    Nccl nccl_;
};

}  // namespace

bool nccl_is_built() { return true; }

std::string gpu_identity(const Executor& executor)
{
    cudaDeviceProp properties{};
    cuda_check(cudaGetDeviceProperties(&properties, executor.ordinal()),
               "asking for the GPU's identity");
    std::string hex;
    for (const char byte : properties.uuid.bytes)
        hex += fmt::format("{:02x}", static_cast<unsigned char>(byte));
    return hex;
}

std::unique_ptr<DeviceCollectives> make_nccl_collectives(Communicator& communicator,
                                                         Executor& executor, milliseconds patience)
{
    return std::make_unique<NcclCollectives>(communicator, executor, patience);
}

}  // namespace twinscreen
