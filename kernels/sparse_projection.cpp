#include "kernels/sparse_projection.hpp"

#include <array>

#include "engine/base/error.hpp"
#include "kernels/random.hpp"

namespace twinscreen {
namespace {

constexpr std::size_t blocks = SparseProjection::targets_per_input;
constexpr std::array<double, 2> signs{SparseProjection::weight, -SparseProjection::weight};

}  // namespace

SparseProjection::SparseProjection(std::int64_t inputs, std::int64_t outputs, std::uint64_t draw)
    : outputs_(outputs)
{
    TWINSCREEN_REQUIRE(outputs >= static_cast<std::int64_t>(blocks) && outputs < (1 << 30),
                       internal, "a projection to {} outputs", outputs);
    target_.reserve(static_cast<std::size_t>(inputs) * blocks);
    const auto all = static_cast<std::uint64_t>(outputs);
    for (std::uint64_t input = 0; input < static_cast<std::uint64_t>(inputs); ++input) {
        const auto bits = draw_bits({draw, DrawStream::projection, input, 0});
        for (std::uint64_t block = 0; block < blocks; ++block) {
            const auto first = static_cast<std::uint32_t>(block * all / blocks);
            const auto end = static_cast<std::uint32_t>((block + 1) * all / blocks);
            // The lowest bit is the sign; `below` looks at the highest ones.
            target_.push_back(2 * (first + below(bits[block], end - first)) + (bits[block] & 1U));
        }
    }
}

template <class T>
void SparseProjection::project(std::span<const T> values, std::span<T> projected) const
{
    std::vector<double> sums(projected.size(), 0.0);
    const std::uint32_t* target = target_.data();
    for (const T value : values)
        for (std::size_t block = 0; block < blocks; ++block, ++target)
            sums[*target >> 1U] += signs[*target & 1U] * static_cast<double>(value);
    for (std::size_t output = 0; output < sums.size(); ++output)
        projected[output] = static_cast<T>(sums[output]);
}

template <class T>
void SparseProjection::pull_back(std::span<const T> cotangents, std::span<T> gradient) const
{
    const std::uint32_t* target = target_.data();
    for (T& value : gradient) {
        double sum = 0.0;
        for (std::size_t block = 0; block < blocks; ++block, ++target)
            sum += signs[*target & 1U] * static_cast<double>(cotangents[*target >> 1U]);
        value = static_cast<T>(sum);
    }
}

template void SparseProjection::project(std::span<const float>, std::span<float>) const;
template void SparseProjection::project(std::span<const double>, std::span<double>) const;
template void SparseProjection::pull_back(std::span<const float>, std::span<float>) const;
template void SparseProjection::pull_back(std::span<const double>, std::span<double>) const;

}  // namespace twinscreen
