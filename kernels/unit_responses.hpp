#pragma once

#include <cstdint>
#include <vector>

#include "engine/device/placed_array.hpp"
#include "kernels/sparse_projection.hpp"

namespace twinscreen {

// Readouts that are no matrix product. Maps, features and results are memory of the executor; work
// is stream-ordered.

/// Settings of a Gabor energy population's nonlinear stage (Heeger 1992, eqs. 2-6): response =
/// max_rate * drive / (semi_saturation^2 + sum of the pool's energies).
struct GaborStage {
    bool is_normalised = true;
    double semi_saturation = 0.2;
    double max_rate = 60.0;
    std::int64_t pairs = 0;
    std::int64_t pool = 0;  ///< pairs per position
};

/// Cells of the population.
struct GaborCellTable {
    PlacedArray<std::int32_t> pair;
    PlacedArray<std::int32_t> place;  ///< position of the pair
    PlacedArray<double> cosine;       ///< of the phase of a simple cell; NaN: a complex cell
    PlacedArray<double> sine;
};

/// filters    f32 or f64 [rows, 2 * pairs]
/// responses  the same type [rows, cells]
void gabor_responses(const GaborStage& stage, const GaborCellTable& cells, ConstBatch filters,
                     Batch responses, Executor& executor);

/// Units that look at one place of a map each.
struct SampledUnitTable {
    PlacedArray<double> positions;  ///< [units, 2] x and y in -1..1, align_corners = true
    PlacedArray<float> features;    ///< [units, channels]
    PlacedArray<float> bias;        ///< [units]
};

/// ELU + 1 of bias + features . sample.
///
/// maps       f32 [rows, height, width, channels]
/// shifts     f32 [rows, 2], added to all positions; empty: none
/// responses  f32 [rows, units]
void sampled_responses(const SampledUnitTable& units, ConstBatch maps, ConstBatch shifts,
                       Batch responses, Executor& executor);

/// A sparse projection by its outputs, for executors whose threads own outputs. The same bits as
/// SparseProjection::project.
class ProjectionByOutput {
public:
    explicit ProjectionByOutput(const SparseProjection& projection);
    /// values  f32 or f64 [rows, inputs];  projected  the same type [rows, outputs]
    void project(ConstBatch values, Batch projected, Executor& executor) const;

private:
    std::int64_t inputs_;
    std::int64_t outputs_;
    PlacedArray<std::int32_t> first_;
    PlacedArray<std::int32_t> source_;
};

}  // namespace twinscreen
