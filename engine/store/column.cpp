#include "engine/store/sink.hpp"

namespace twinscreen {

Shape ColumnSpec::row_shape() const
{
    Shape shape;
    TWINSCREEN_REQUIRE(row.size() < shape.extent.size(), internal,
                       "column '{}' has {} axes per row (at most {} are possible)", name,
                       row.size(), shape.extent.size() - 1);
    for (const Axis& axis : row) shape.extent[static_cast<std::size_t>(shape.rank++)] = axis.extent;
    return shape;
}

std::size_t ColumnSpec::row_bytes() const
{
    return static_cast<std::size_t>(row_shape().count()) * bytes_of(type);
}

}  // namespace twinscreen
