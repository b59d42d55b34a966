#include "engine/device/device_choice.hpp"

namespace twinscreen {

DeviceChoice choose_device(const DeviceRequest& request, const VisibleGpus& gpus)
{
    if (request.kind == DeviceKind::cpu || request.kind == DeviceKind::emulated)
        return {request.kind, -1};
    const int count = static_cast<int>(gpus.names.size());
    if (count == 0) {
        if (request.kind == DeviceKind::automatic) return {DeviceKind::cpu, -1};
        throw Error(Error::Kind::device, fmt::format("[run] device = \"gpu\": {}", gpus.why_none));
    }
    if (request.node_ranks > count && !request.share_gpus)
        throw Error(
            Error::Kind::device,
            fmt::format("{} ranks of this node would share {} GPU{} ({})", request.node_ranks,
                        count, count == 1 ? "" : "s", gpus.names.front()),
            "start as many ranks as GPUs on each node; or [run] share_gpus = true where "
            "several ranks may use one; or [run] device = \"cpu\"");
    return {DeviceKind::gpu, request.node_rank % count};
}

std::unique_ptr<Executor> make_executor(const DeviceChoice& choice)
{
    switch (choice.kind) {
        case DeviceKind::gpu: return make_gpu_executor(choice.ordinal);
        case DeviceKind::emulated: return make_emulated_executor();
        case DeviceKind::cpu:
        case DeviceKind::automatic: break;
    }
    return make_host_executor();
}

}  // namespace twinscreen
