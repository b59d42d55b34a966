#include <algorithm>
#include <span>
#include <vector>

#include "engine/base/digest.hpp"
#include "engine/twin/twin.hpp"

namespace twinscreen {

std::vector<std::shared_ptr<Backbone>> backbones_of(const Twin& twin)
{
    std::vector<std::shared_ptr<Backbone>> found;
    for (const TwinPart& part : twin.parts)
        if (std::find(found.begin(), found.end(), part.backbone) == found.end())
            found.push_back(part.backbone);
    return found;
}

void keep_units(Twin& twin, const std::vector<std::size_t>& rows)
{
    const std::size_t before = twin.units.rows();
    for (std::size_t i = 0; i < rows.size(); ++i)
        TWINSCREEN_REQUIRE(rows[i] < before && (i == 0 || rows[i - 1] < rows[i]), internal,
                           "units to keep must be ascending rows below {}", before);
    if (rows.size() == before) return;
    std::vector<TwinPart> parts;
    std::size_t first = 0;  // unit of the part at hand
    auto next = rows.begin();
    for (TwinPart& part : twin.parts) {
        const auto units = static_cast<std::size_t>(part.readout->outputs());
        std::vector<UnitId> kept;
        for (; next != rows.end() && *next < first + units; ++next)
            kept.push_back(UnitId{static_cast<std::uint32_t>(*next - first)});
        first += units;
        if (kept.empty()) continue;
        if (kept.size() < units) part.readout = part.readout->select(kept);
        parts.push_back(std::move(part));
    }
    twin.parts = std::move(parts);
    twin.units = twin.units.select(rows);
    twin.selection.reset();
    twin.spec.digest = Digest()
                           .add(twin.spec.digest)
                           .add_bytes(std::as_bytes(std::span<const std::size_t>(rows)))
                           .hex();
}

}  // namespace twinscreen
