#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/base/types.hpp"
#include "engine/device/executor.hpp"
#include "kernels/image.hpp"

namespace twinscreen {

struct TapSpec {
    std::string name;
    Shape row;                    ///< shape of one row
    bool channels_first = false;  ///< [channels, pixels...], else [pixels..., channels]
};

/// Channels of a tap: the extent that is not one of pixels.
inline std::int64_t channels_of(const TapSpec& tap) noexcept
{
    return tap.row.rank == 0
               ? 1
               : tap.row
                     .extent[tap.channels_first ? 0 : static_cast<std::size_t>(tap.row.rank - 1)];
}

struct NamedBatch {
    std::string name;
    ConstBatch values;
};

struct ForwardRequest {
    ConstBatch stimuli;                      ///< [rows, input().row_shape()]
    std::span<const NamedBatch> covariates;  ///< each [rows, extent]
    std::span<const TapId> wanted;           ///< only what these need is computed
    bool keep_for_gradient = false;
};

struct TapGradient {
    TapId tap{};
    OwnedBatch values;  ///< [rows, tap row]
};

/// What one forward pass left behind.
class Trace {
public:
    virtual ~Trace() = default;
    /// [rows, tap row]; valid as long as the trace.
    virtual ConstBatch tap(TapId tap) const = 0;
    /// Cotangents at taps -> gradient of the stimuli [rows, input row]. The forward pass must have
    /// been asked to keep what this needs.
    virtual OwnedBatch pull_back(std::span<const TapGradient> cotangents, Executor&) = 0;
};

/// Transform and network, shared by every readout with the same digest. Independent; one thread.
class Backbone {
public:
    virtual ~Backbone() = default;
    /// Identity of transform, weights and precision.
    virtual const std::string& digest() const noexcept = 0;
    virtual const InputTransform& input() const noexcept = 0;
    /// Behaviour, pupil, ...: name, extent, unit. Empty where there are none.
    virtual std::span<const Axis> covariates() const noexcept = 0;
    virtual std::span<const TapSpec> taps() const noexcept = 0;
    /// Rows of one forward call; fixed per family, part of what bits depend on.
    virtual std::int64_t compute_batch() const noexcept = 0;
    /// Weights plus the largest activations of one compute batch for these taps [bytes], for
    /// `plan`.
    virtual std::size_t memory_bytes(std::span<const TapId> wanted) const = 0;
    /// Multiply-accumulates of one row for these taps, for `plan`; NaN where nobody knows.
    virtual double macs_per_row(std::span<const TapId> wanted) const = 0;
    virtual std::unique_ptr<Trace> forward(const ForwardRequest&, Executor&) = 0;
};

}  // namespace twinscreen
