#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "engine/base/error.hpp"

namespace twinscreen {

/// Number of an item of a stage (a stimulus, a null draw, a chain): dense and 0-based.
enum class ItemId : std::uint64_t {};
/// Number of a shard of a stage: dense and 0-based.
enum class ShardId : std::uint64_t {};
/// Row of a twin's unit table: dense and 0-based within the twin.
enum class UnitId : std::uint32_t {};
/// Index into the taps of one backbone.
enum class TapId : std::uint32_t {};
/// Index into the columns of one stage.
enum class ColumnId : std::uint32_t {};

constexpr std::uint64_t index_of(ItemId id) noexcept { return static_cast<std::uint64_t>(id); }
constexpr std::uint64_t index_of(ShardId id) noexcept { return static_cast<std::uint64_t>(id); }
constexpr std::uint32_t index_of(UnitId id) noexcept { return static_cast<std::uint32_t>(id); }
constexpr std::uint32_t index_of(TapId id) noexcept { return static_cast<std::uint32_t>(id); }
constexpr std::uint32_t index_of(ColumnId id) noexcept { return static_cast<std::uint32_t>(id); }
constexpr ItemId operator+(ItemId id, std::uint64_t offset) noexcept
{
    return ItemId{index_of(id) + offset};
}

/// Items first, first + 1, ..., first + count - 1.
struct ItemRange {
    ItemId first{};
    std::uint64_t count = 0;

    friend bool operator==(const ItemRange&, const ItemRange&) = default;
};

enum class MemorySpace { host, device };

enum class ElementType { u8, i32, i64, u64, f16, bf16, f32, f64 };

/// Size of one element [bytes].
std::size_t bytes_of(ElementType type) noexcept;
/// "uint8", "float32", ... as numpy writes them.
std::string_view name_of(ElementType type) noexcept;

template <class T>
constexpr ElementType element_type_of() noexcept
{
    if constexpr (std::is_same_v<T, std::uint8_t>)
        return ElementType::u8;
    else if constexpr (std::is_same_v<T, std::int32_t>)
        return ElementType::i32;
    else if constexpr (std::is_same_v<T, std::int64_t>)
        return ElementType::i64;
    else if constexpr (std::is_same_v<T, std::uint64_t>)
        return ElementType::u64;
    else if constexpr (std::is_same_v<T, float>)
        return ElementType::f32;
    else {
        static_assert(std::is_same_v<T, double>, "no ElementType for this type");
        return ElementType::f64;
    }
}

/// Row-major extents, slowest first.
struct Shape {
    std::array<std::int64_t, 6> extent{};
    int rank = 0;

    Shape() = default;
    Shape(std::initializer_list<std::int64_t> extents);

    /// Product of all extents; 1 for rank 0.
    std::int64_t count() const noexcept;
    /// This shape with another extent in front: [rows, ...].
    Shape with_rows(std::int64_t rows) const;
    /// The shape of one row: without the first extent.
    Shape row() const;
    /// "[32, 3, 112, 112]"
    std::string text() const;

    friend bool operator==(const Shape&, const Shape&) = default;
};

/// Non-owning view of elements in rows; extent[0] counts the rows.
struct Batch {
    void* data = nullptr;
    ElementType type = ElementType::f32;
    Shape shape;
    MemorySpace space = MemorySpace::host;
};

/// Non-owning read-only view of elements in rows; extent[0] counts the rows.
struct ConstBatch {
    const void* data = nullptr;
    ElementType type = ElementType::f32;
    Shape shape;
    MemorySpace space = MemorySpace::host;

    ConstBatch() = default;
    ConstBatch(const void* data_in, ElementType type_in, Shape shape_in,
               MemorySpace space_in = MemorySpace::host)
        : data(data_in), type(type_in), shape(shape_in), space(space_in)
    {
    }
    ConstBatch(const Batch& batch)  // NOLINT: a view of a view
        : data(batch.data), type(batch.type), shape(batch.shape), space(batch.space)
    {
    }
};

/// Size of the viewed elements [bytes].
std::size_t bytes_of(const ConstBatch& batch) noexcept;

/// The elements of a host batch as a span; the element type must match.
template <class T>
std::span<T> values_of(const Batch& batch)
{
    TWINSCREEN_REQUIRE(batch.type == element_type_of<T>(), internal,
                       "batch has another element type than the caller expects");
    return {static_cast<T*>(batch.data), static_cast<std::size_t>(batch.shape.count())};
}

template <class T>
std::span<const T> values_of(const ConstBatch& batch)
{
    TWINSCREEN_REQUIRE(batch.type == element_type_of<T>(), internal,
                       "batch has another element type than the caller expects");
    return {static_cast<const T*>(batch.data), static_cast<std::size_t>(batch.shape.count())};
}

/// Rows first ... first + count - 1 of a batch.
Batch rows_of(const Batch& batch, std::int64_t first, std::int64_t count);
ConstBatch rows_of(const ConstBatch& batch, std::int64_t first, std::int64_t count);

/// Host memory with a type and a shape, 64-byte aligned, move-only. Contents are not initialised.
class OwnedBatch {
public:
    OwnedBatch() = default;
    OwnedBatch(ElementType type, const Shape& shape);

    Batch view() noexcept { return {bytes_.get(), type_, shape_, MemorySpace::host}; }
    ConstBatch view() const noexcept { return {bytes_.get(), type_, shape_, MemorySpace::host}; }
    const Shape& shape() const noexcept { return shape_; }
    ElementType type() const noexcept { return type_; }
    std::size_t bytes() const noexcept { return bytes_of(view()); }

    template <class T>
    std::span<T> values()
    {
        return values_of<T>(view());
    }
    template <class T>
    std::span<const T> values() const
    {
        return values_of<T>(view());
    }

private:
    struct Free {
        void operator()(std::byte* block) const noexcept;
    };
    std::unique_ptr<std::byte[], Free> bytes_;
    ElementType type_ = ElementType::f32;
    Shape shape_{0};
};

/// A named axis of a result or an input: {"time", 140, "s"}.
struct Axis {
    std::string name;
    std::int64_t extent = 0;
    std::string unit;

    friend bool operator==(const Axis&, const Axis&) = default;
};

}  // namespace twinscreen
