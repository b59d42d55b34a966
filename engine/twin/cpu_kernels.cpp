#include "engine/twin/cpu_kernels.hpp"

#include <algorithm>

#include "engine/twin/cpu_kernel_list.hpp"

namespace twinscreen {

std::span<const CpuKernels* const> supported_cpu_kernels()
{
    static const std::vector<const CpuKernels*> supported = [] {
        std::vector<const CpuKernels*> found;
        for (const CpuKernels* kernels : built_cpu_kernels())
            if (kernels->supported()) found.push_back(kernels);
        return found;
    }();
    return supported;
}

const CpuKernels& cpu_kernels() { return *supported_cpu_kernels().front(); }

int padded_to_lanes(int columns, int lanes) noexcept
{
    return (columns + lanes - 1) / lanes * lanes;
}

PackedMatrix packed_for(const CpuKernels& kernels, const std::vector<double>& matrix,
                        const std::vector<double>& bias)
{
    PackedMatrix packed;
    packed.columns = static_cast<int>(bias.size());
    packed.depth = static_cast<int>(matrix.size() / bias.size());
    packed.padded_columns = padded_to_lanes(packed.columns, kernels.lanes);
    packed.bias.assign(bias.begin(), bias.end());
    packed.bias.resize(static_cast<std::size_t>(packed.padded_columns));
    for (int first = 0; first < packed.padded_columns; first += 2 * kernels.lanes) {
        const int last = std::min(first + 2 * kernels.lanes, packed.padded_columns);
        for (int k = 0; k < packed.depth; ++k)
            for (int column = first; column < last; ++column)
                packed.weights.push_back(
                    column < packed.columns
                        ? static_cast<float>(matrix[static_cast<std::size_t>(k) * bias.size() +
                                                    static_cast<std::size_t>(column)])
                        : 0.0F);
    }
    return packed;
}

std::vector<float> padded_rows(const CpuKernels& kernels, const std::vector<double>& matrix,
                               int columns)
{
    const auto live = static_cast<std::size_t>(columns);
    const auto padded = static_cast<std::size_t>(padded_to_lanes(columns, kernels.lanes));
    std::vector<float> rows(matrix.size() / live * padded, 0.0F);
    for (std::size_t i = 0; i < matrix.size(); ++i)
        rows[i / live * padded + i % live] = static_cast<float>(matrix[i]);
    return rows;
}

}  // namespace twinscreen
