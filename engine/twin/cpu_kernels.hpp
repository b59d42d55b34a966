#pragma once

#include <span>
#include <vector>

#include "engine/twin/cpu_kernel_types.hpp"

namespace twinscreen {

/// All that this build holds and this processor can run, best first.
std::span<const CpuKernels* const> supported_cpu_kernels();
/// The best of them.
const CpuKernels& cpu_kernels();

int padded_to_lanes(int columns, int lanes) noexcept;

/// A matrix in the order in which `contract` reads it.
struct PackedMatrix {
    std::vector<float>
        weights;              ///< blocks of 2 * lanes columns, the last of lanes if that suffices:
                              ///< [block][depth][columns of the block], zeros in padded columns
    std::vector<float> bias;  ///< [padded_columns]
    int depth = 0;
    int columns = 0;
    int padded_columns = 0;
};
/// matrix  [depth, columns];  bias  [columns]
PackedMatrix packed_for(const CpuKernels& kernels, const std::vector<double>& matrix,
                        const std::vector<double>& bias);
/// matrix [rows, columns] with columns padded by zeros to a multiple of lanes.
std::vector<float> padded_rows(const CpuKernels& kernels, const std::vector<double>& matrix,
                               int columns);

}  // namespace twinscreen
