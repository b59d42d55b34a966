#include "engine/twin/untrained_twin.hpp"

#include "engine/twin/load_bundle.hpp"
#include "engine/twin/twin_of_taps.hpp"

namespace twinscreen {

std::optional<Twin> untrained_twin(const Twin& twin, std::uint64_t draw, SharedReads& reads)
{
    const BundleSource& source = twin.spec.source;
    if (twin.spec.family != "graph" || !twin.selection || source.untrained) return std::nullopt;
    Twin drawn =
        open_bundle(source.folder, Precision::f32, reads, source.degrees_per_pixel, draw).twin;
    drawn.spec.name = twin.spec.name + ", untrained";
    return twin_of_taps(std::move(drawn), *twin.selection, Precision::f32);
}

Twin copy_of(const Twin& twin)
{
    Twin copy{twin.spec, twin.units, {}, twin.selection};
    for (const TwinPart& part : twin.parts) {
        std::vector<UnitId> all;
        for (std::int64_t unit = 0; unit < part.readout->outputs(); ++unit)
            all.push_back(UnitId{static_cast<std::uint32_t>(unit)});
        copy.parts.push_back({part.backbone, part.readout->select(all)});
    }
    return copy;
}

}  // namespace twinscreen
