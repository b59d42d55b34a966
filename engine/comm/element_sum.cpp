#include "engine/comm/element_sum.hpp"

#include <bit>
#include <cmath>
#include <cstdint>
#include <vector>

#include "kernels/half.hpp"

namespace twinscreen {
namespace {

template <class T>
std::span<T> elements_of(std::span<std::byte> bytes)
{
    return {reinterpret_cast<T*>(bytes.data()), bytes.size() / sizeof(T)};
}

/// Through doubles, which the communicator adds.
template <class T, class Widen, class Narrow>
void sum_as_doubles(std::span<std::byte> bytes, Communicator& communicator, Widen widen,
                    Narrow narrow)
{
    const auto elements = elements_of<T>(bytes);
    std::vector<double> sums(elements.size());
    for (std::size_t i = 0; i < elements.size(); ++i) sums[i] = widen(elements[i]);
    communicator.all_reduce(sums, Reduction::sum);
    for (std::size_t i = 0; i < elements.size(); ++i) elements[i] = narrow(sums[i]);
}

/// A double holds no 64-bit integer, but the sums of its halves.
void sum_as_halves(std::span<std::byte> bytes, Communicator& communicator)
{
    constexpr std::uint64_t low_half = 0xffffffffU;
    const auto elements = elements_of<std::uint64_t>(bytes);
    std::vector<double> sums(2 * elements.size());
    for (std::size_t i = 0; i < elements.size(); ++i) {
        sums[2 * i] = static_cast<double>(elements[i] & low_half);
        sums[2 * i + 1] = static_cast<double>(elements[i] >> 32U);
    }
    communicator.all_reduce(sums, Reduction::sum);
    for (std::size_t i = 0; i < elements.size(); ++i)
        elements[i] = static_cast<std::uint64_t>(sums[2 * i]) +
                      (static_cast<std::uint64_t>(sums[2 * i + 1]) << 32U);
}

float float_from_bfloat(std::uint16_t bits)
{
    return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16U);
}

/// Nearest, ties to even.
std::uint16_t to_bfloat(float value)
{
    const auto bits = std::bit_cast<std::uint32_t>(value);
    if (std::isnan(value)) return static_cast<std::uint16_t>(bits >> 16U | 0x40U);
    return static_cast<std::uint16_t>((bits + 0x7fffU + (bits >> 16U & 1U)) >> 16U);
}

template <class T>
double widened(T value)
{
    return static_cast<double>(value);
}

}  // namespace

void sum_over_ranks(std::span<std::byte> elements, ElementType type, Communicator& communicator)
{
    switch (type) {
        case ElementType::u8:
            return sum_as_doubles<std::uint8_t>(
                elements, communicator, widened<std::uint8_t>, [](double sum) {
                    return static_cast<std::uint8_t>(static_cast<std::uint64_t>(sum));
                });
        case ElementType::i32:
            return sum_as_doubles<std::int32_t>(
                elements, communicator, widened<std::int32_t>, [](double sum) {
                    return static_cast<std::int32_t>(static_cast<std::int64_t>(sum));
                });
        case ElementType::i64:  // two's complement: the same sums as without a sign
        case ElementType::u64: return sum_as_halves(elements, communicator);
        case ElementType::f16:
            return sum_as_doubles<std::uint16_t>(
                elements, communicator, float_from_half,
                [](double sum) { return to_half(static_cast<float>(sum)); });
        case ElementType::bf16:
            return sum_as_doubles<std::uint16_t>(
                elements, communicator, float_from_bfloat,
                [](double sum) { return to_bfloat(static_cast<float>(sum)); });
        case ElementType::f32:
            return sum_as_doubles<float>(elements, communicator, widened<float>,
                                         [](double sum) { return static_cast<float>(sum); });
        case ElementType::f64:
            return communicator.all_reduce(elements_of<double>(elements), Reduction::sum);
    }
}

}  // namespace twinscreen
