#include "engine/comm/gpu_places.hpp"

#include <cstddef>
#include <map>

#include <fmt/format.h>

namespace twinscreen {

std::string why_not_between_gpus(std::span<const GpuPlace> places)
{
    std::map<std::string, std::size_t> rank_of_gpu;
    for (std::size_t rank = 0; rank < places.size(); ++rank) {
        const GpuPlace& place = places[rank];
        if (place.ordinal < 0)
            return fmt::format("rank {} on {} computes on the processor", rank, place.host);
        const auto [other, is_first] = rank_of_gpu.try_emplace(place.gpu, rank);
        if (!is_first)
            return fmt::format("ranks {} and {} on {} share GPU {}", other->second, rank,
                               place.host, place.ordinal);
    }
    return {};
}

}  // namespace twinscreen
