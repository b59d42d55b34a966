#include "engine/comm/device_collectives.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <string>
#include <vector>

#include <spdlog/spdlog.h>

#include "engine/comm/collectives_backends.hpp"
#include "engine/comm/gpu_places.hpp"

namespace twinscreen {
namespace {

/// A GpuPlace as bytes that ranks exchange.
struct PlaceRecord {
    std::array<char, 256> host{};
    std::array<char, 64> gpu{};
    int ordinal = -1;
};

template <std::size_t Size>
void put(const std::string& text, std::array<char, Size>& to)
{
    std::copy_n(text.begin(), std::min(text.size(), Size - 1), to.begin());
}

/// Collective: of every rank.
std::vector<GpuPlace> gather_places(Communicator& communicator, const Executor& executor)
{
    PlaceRecord mine;
    put(host_name(), mine.host);
    mine.ordinal = executor.ordinal();
    if (mine.ordinal >= 0) put(gpu_identity(executor), mine.gpu);
    std::vector<PlaceRecord> all(static_cast<std::size_t>(communicator.size()));
    communicator.all_gather(std::as_bytes(std::span(&mine, 1)),
                            std::as_writable_bytes(std::span(all)));
    std::vector<GpuPlace> places;
    for (const PlaceRecord& record : all)
        places.push_back({record.host.data(), record.gpu.data(), record.ordinal});
    return places;
}

}  // namespace

std::unique_ptr<DeviceCollectives> make_device_collectives(Communicator& communicator,
                                                           Executor& executor,
                                                           std::chrono::milliseconds patience)
{
    if (communicator.size() == 1) return make_local_collectives();
    const std::vector<GpuPlace> places = gather_places(communicator, executor);
    const bool uses_gpus =
        std::any_of(places.begin(), places.end(), [](const auto& p) { return p.ordinal >= 0; });
    if (!uses_gpus) return make_staged_collectives(communicator);  // host memory is no detour
    const std::string why_not =
        nccl_is_built() ? why_not_between_gpus(places) : "this build has no NCCL";
    if (why_not.empty()) return make_nccl_collectives(communicator, executor, patience);
    if (communicator.rank() == 0)
        spdlog::warn("{}: what ranks exchange goes through host memory, not from GPU to GPU",
                     why_not);
    return make_staged_collectives(communicator);
}

void require_space(const ConstBatch& batch, const Executor& executor)
{
    TWINSCREEN_REQUIRE(batch.space == executor.space(), internal,
                       "ranks cannot exchange a batch outside the executor's memory");
}

void require_room(const ConstBatch& mine, const Batch& all, int ranks)
{
    TWINSCREEN_REQUIRE(mine.type == all.type && mine.shape.count() * ranks == all.shape.count(),
                       internal, "{} of {} ranks do not fill {}", mine.shape.text(), ranks,
                       all.shape.text());
}

}  // namespace twinscreen
