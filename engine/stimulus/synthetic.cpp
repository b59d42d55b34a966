#include "engine/stimulus/synthetic.hpp"

#include <cmath>

namespace twinscreen {

DrawAddress SyntheticSet::draws(DrawStream stream, std::uint64_t item) const
{
    return {seed, stream, item | (std::uint64_t{set} << 48U), 0};
}

double SyntheticSet::pixels_per_length(const InputTransform& canvas) const
{
    if (!in_degrees) return 1.0;
    if (!(canvas.degrees_per_pixel > 0.0))
        throw Error(
            Error::Kind::data,
            fmt::format("stimulus set {} ({}) has sizes in [deg], but a twin's degrees per pixel "
                        "are unknown",
                        set, kind),
            "set degrees_per_pixel in the twin's table of the campaign, or units = \"pixel\" "
            "in this set");
    return 1.0 / canvas.degrees_per_pixel;
}

SyntheticSet read_synthetic(ConfigSection& section, std::string kind, std::uint64_t seed,
                            std::uint32_t set)
{
    const bool in_degrees = section.one_of("units", "deg", {"deg", "pixel"}) == "deg";
    return {std::move(kind), seed, set, in_degrees};
}

Picture SyntheticSource::draw(ItemId item, const InputTransform& canvas) const
{
    Picture picture{canvas.height, canvas.width, 1, false,
                    OwnedBatch(ElementType::f32, {canvas.height, canvas.width, 1})};
    render(index_of(item), {canvas.height, canvas.width, canvas.background},
           facts_.pixels_per_length(canvas), picture.pixels.values<float>().data());
    return picture;
}

void SyntheticSource::check(const InputTransform& canvas) const
{
    check_sizes(facts_.pixels_per_length(canvas));
}

Table SyntheticSource::describe(ItemRange items) const
{
    Table table = parameters(items);
    table.columns.insert(table.columns.begin(),
                         {"kind", "", std::vector<std::string>(items.count, facts_.kind)});
    return table;
}

std::string SyntheticSource::identity() const
{
    return fmt::format("{} seed={} set={} units={} {}", facts_.kind, facts_.seed, facts_.set,
                       facts_.length_unit(), parameter_text());
}

}  // namespace twinscreen
