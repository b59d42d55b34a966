#include "engine/base/types.hpp"

#include <cstdlib>
#include <new>

namespace twinscreen {

std::size_t bytes_of(ElementType type) noexcept
{
    switch (type) {
        case ElementType::u8: return 1;
        case ElementType::f16:
        case ElementType::bf16: return 2;
        case ElementType::i32:
        case ElementType::f32: return 4;
        case ElementType::i64:
        case ElementType::u64:
        case ElementType::f64: return 8;
    }
    return 0;
}

std::string_view name_of(ElementType type) noexcept
{
    switch (type) {
        case ElementType::u8: return "uint8";
        case ElementType::i32: return "int32";
        case ElementType::i64: return "int64";
        case ElementType::u64: return "uint64";
        case ElementType::f16: return "float16";
        case ElementType::bf16: return "bfloat16";
        case ElementType::f32: return "float32";
        case ElementType::f64: return "float64";
    }
    return "?";
}

Shape::Shape(std::initializer_list<std::int64_t> extents)
{
    TWINSCREEN_REQUIRE(extents.size() <= extent.size(), internal, "a shape has at most {} axes",
                       extent.size());
    for (const std::int64_t value : extents) extent[static_cast<std::size_t>(rank++)] = value;
}

std::int64_t Shape::count() const noexcept
{
    std::int64_t product = 1;
    for (int axis = 0; axis < rank; ++axis) product *= extent[static_cast<std::size_t>(axis)];
    return product;
}

Shape Shape::with_rows(std::int64_t rows) const
{
    TWINSCREEN_REQUIRE(rank < static_cast<int>(extent.size()), internal,
                       "a shape has at most {} axes", extent.size());
    Shape result;
    result.rank = rank + 1;
    result.extent[0] = rows;
    for (std::size_t axis = 0; axis < static_cast<std::size_t>(rank); ++axis)
        result.extent[axis + 1] = extent[axis];
    return result;
}

Shape Shape::row() const
{
    Shape result;
    result.rank = rank > 0 ? rank - 1 : 0;
    for (std::size_t axis = 0; axis < static_cast<std::size_t>(result.rank); ++axis)
        result.extent[axis] = extent[axis + 1];
    return result;
}

std::string Shape::text() const
{
    std::string result = "[";
    for (int axis = 0; axis < rank; ++axis)
        result += fmt::format("{}{}", axis > 0 ? ", " : "", extent[static_cast<std::size_t>(axis)]);
    return result + "]";
}

std::size_t bytes_of(const ConstBatch& batch) noexcept
{
    return static_cast<std::size_t>(batch.shape.count()) * bytes_of(batch.type);
}

namespace {

std::size_t row_bytes(const ConstBatch& batch)
{
    return static_cast<std::size_t>(batch.shape.row().count()) * bytes_of(batch.type);
}

}  // namespace

Batch rows_of(const Batch& batch, std::int64_t first, std::int64_t count)
{
    TWINSCREEN_ASSERT(first >= 0 && first + count <= batch.shape.extent[0]);
    return {
        static_cast<std::byte*>(batch.data) + static_cast<std::size_t>(first) * row_bytes(batch),
        batch.type, batch.shape.row().with_rows(count), batch.space};
}

ConstBatch rows_of(const ConstBatch& batch, std::int64_t first, std::int64_t count)
{
    TWINSCREEN_ASSERT(first >= 0 && first + count <= batch.shape.extent[0]);
    return {static_cast<const std::byte*>(batch.data) +
                static_cast<std::size_t>(first) * row_bytes(batch),
            batch.type, batch.shape.row().with_rows(count), batch.space};
}

OwnedBatch::OwnedBatch(ElementType type, const Shape& shape) : type_(type), shape_(shape)
{
    constexpr std::size_t alignment = 64;
    const std::size_t wanted = (bytes_of(view()) + alignment - 1) / alignment * alignment;
    bytes_.reset(static_cast<std::byte*>(std::aligned_alloc(alignment, wanted + alignment)));
    TWINSCREEN_REQUIRE(bytes_ != nullptr, device, "cannot allocate {} bytes of memory", wanted);
}

void OwnedBatch::Free::operator()(std::byte* block) const noexcept { std::free(block); }

}  // namespace twinscreen
