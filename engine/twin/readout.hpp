#pragma once

#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "engine/twin/backbone.hpp"

namespace twinscreen {

/// Outputs that are linear in units: output = sum of weight * unit.
struct LinearMeasure {
    std::vector<std::vector<std::pair<UnitId, double>>> outputs;
};

/// Map of taps to units. Independent; one thread.
class Readout {
public:
    virtual ~Readout() = default;
    virtual std::int64_t outputs() const noexcept = 0;
    virtual std::span<const TapId> taps() const noexcept = 0;
    /// Drops all other units before the run; numbering is that of this readout's outputs.
    virtual std::unique_ptr<Readout> select(std::span<const UnitId> units) const = 0;
    /// The measure as a readout of its own, computed without the units; null where the map is not
    /// linear in the taps.
    virtual std::unique_ptr<Readout> fold(const LinearMeasure& measure) const = 0;
    virtual double macs_per_row() const noexcept = 0;
    virtual std::size_t memory_bytes() const noexcept = 0;
    /// responses: [rows, outputs], f32 (f64 for a twin loaded in double precision).
    virtual void apply(const Trace& trace, Batch responses, Executor&) = 0;
    /// Cotangents of the responses [rows, outputs] -> cotangents at the taps.
    virtual std::vector<TapGradient> pull_back(const Trace& trace, ConstBatch cotangents,
                                               Executor&) = 0;
};

}  // namespace twinscreen
