#pragma once

#include <cstdint>

#include "engine/device/executor.hpp"

namespace twinscreen {

// From the outputs of readouts to the rows that experiments see. All memory is the executor's; work
// is stream-ordered. Sums are in double and in a fixed order, so that a GPU and the host agree in
// every bit of what they make of the same outputs.

/// Outputs of one readout as columns first_column, ... of a wider table.
///
/// outputs  f32 [compute rows, outputs], of which the first `rows` are used
/// table    f32 [at least first_row + rows, columns]
struct ColumnPlace {
    std::int64_t first_row = 0;
    std::int64_t rows = 0;
    std::int64_t first_column = 0;
};
void place_columns(ConstBatch outputs, const ColumnPlace& place, Batch table, Executor& executor);

/// sums[first_row + row][area_of_output[o]] += outputs[row][o]; outputs of one call have different
/// areas.
///
/// area_of_output  i32 [outputs]
/// sums            f64 [at least first_row + rows, areas]
void add_to_areas(ConstBatch outputs, ConstBatch area_of_output, std::int64_t first_row,
                  std::int64_t rows, Batch sums, Executor& executor);

/// Units whose mean is taken from their responses, in lists by area.
struct AreaMembers {
    ConstBatch first;   ///< i32 [areas + 1], into `unit`
    ConstBatch unit;    ///< i32 [listed units], ascending within an area
    ConstBatch weight;  ///< f64 [areas]
};
/// areas[row][a] = sums[row][a] + sum over the listed units of weight * response, as f32.
///
/// units  f32 [rows, units]; not read where no units are listed
void finish_areas(ConstBatch sums, const AreaMembers& members, ConstBatch units, Batch areas,
                  Executor& executor);

/// sums[row][column][area] += share * values[row][column].
///
/// values  f32 [rows, columns]
/// sums    f32 [at least rows, at least columns, areas]
void add_shares(ConstBatch values, float share, Batch sums, std::int64_t area, Executor& executor);

/// NaN in rows of what could not be read.
///
/// valid  u8 [at least rows], 0 where a row is blanked
/// table  f32 [rows, columns]
void blank_rows(ConstBatch valid, Batch table, Executor& executor);

/// Zeros in all bytes.
void clear(Batch table, Executor& executor);

}  // namespace twinscreen
