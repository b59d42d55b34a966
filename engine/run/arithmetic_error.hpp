#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "engine/base/types.hpp"
#include "engine/comm/communicator.hpp"

namespace twinscreen {

/// How far the responses of networks in lower precision are from those in float32, over the
/// batches in which both were computed.
class ArithmeticError {
public:
    /// One batch: f32 [rows, units or areas] each; rows that are not valid are left out.
    void add(ConstBatch found, ConstBatch in_float32, std::span<const std::uint8_t> valid);
    /// Collective: that of all ranks.
    ArithmeticError over_all(Communicator& communicator) const;

    std::uint64_t batches() const noexcept { return batches_; }
    /// Root mean square of the differences by that of the responses' deviations, each from the mean
    /// of its unit over the pictures of a batch. 0 is none, 1 is noise as large as the signal.
    double of_spread() const;
    /// Largest difference by the standard deviation of its unit over the pictures of its batch.
    double largest() const noexcept { return largest_; }
    /// Responses that are infinite or NaN and are not in float32; above, they count as 0.
    std::uint64_t overflowed() const noexcept { return overflowed_; }

private:
    std::uint64_t batches_ = 0;
    std::uint64_t overflowed_ = 0;
    double squared_differences_ = 0.0;
    double squared_deviations_ = 0.0;
    double largest_ = 0.0;
};

}  // namespace twinscreen
