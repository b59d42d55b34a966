#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace twinscreen {

/// Sparse random projection that keeps distances: every input goes into four outputs, one in each
/// quarter of them, with a random sign and weight 1/2 (Kane & Nelson 2014, block construction; a
/// sparse form of Johnson & Lindenstrauss 1984). Squared distances of images are kept up to a
/// relative error of about sqrt(2 / outputs).
///
/// Where input i goes is drawn at (draw, projection, i): it depends on nothing else.
class SparseProjection {
public:
    /// outputs  at least 4
    SparseProjection(std::int64_t inputs, std::int64_t outputs, std::uint64_t draw);

    static constexpr std::size_t targets_per_input = 4;
    static constexpr double weight = 0.5;  ///< 1 / sqrt(targets): columns have length 1

    std::int64_t inputs() const noexcept
    {
        return static_cast<std::int64_t>(target_.size() / targets_per_input);
    }
    std::int64_t outputs() const noexcept { return outputs_; }
    std::size_t memory_bytes() const noexcept { return target_.size() * sizeof(std::uint32_t); }

    /// [inputs, 4] twice the output that an input goes to, plus 1 for a minus sign.
    std::span<const std::uint32_t> targets() const noexcept { return target_; }

    /// One row: values [inputs] -> projected [outputs]. Sums in input order and in double.
    template <class T>
    void project(std::span<const T> values, std::span<T> projected) const;
    /// The transposed map: cotangents [outputs] -> gradient [inputs].
    template <class T>
    void pull_back(std::span<const T> cotangents, std::span<T> gradient) const;

private:
    std::vector<std::uint32_t> target_;
    std::int64_t outputs_;
};

}  // namespace twinscreen
