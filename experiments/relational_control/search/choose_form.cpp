#include <algorithm>
#include <vector>

#include "experiments/relational_control/search/pair_similarity.hpp"

namespace twinscreen {
namespace {

// Microseconds for a set of 50, one core of a virtual machine (AVX-512), measured by
// benchmarks/rnc_search_bench.
constexpr double stored_in_cache_us = 4.0;
constexpr double stored_in_memory_us = 12.0;
constexpr std::uint64_t cache_bytes = 256U << 20U;
constexpr double factors_us = 1.5;  // and for each unit of the two areas:
constexpr double factors_us_of_unit = 0.055;

}  // namespace

std::uint64_t stored_bytes(std::uint64_t items, std::uint64_t areas) noexcept
{
    return items * items * areas * sizeof(float);
}

SimilarityForm choose_form(std::uint64_t items, std::span<const std::uint32_t> widths,
                           std::uint64_t bytes_available)
{
    // By division: bytes of very many items are beyond 64 bits.
    if (items > bytes_available / stored_bytes(1, widths.size()) / items)
        return SimilarityForm::factors;
    const std::uint64_t bytes = stored_bytes(items, widths.size());
    double units = 0.0;  // of two areas, on average
    for (const std::uint32_t width : widths)
        units += 2.0 * width / static_cast<double>(widths.size());
    const double stored_us = bytes <= cache_bytes ? stored_in_cache_us : stored_in_memory_us;
    return stored_us <= factors_us + factors_us_of_unit * units ? SimilarityForm::stored
                                                                : SimilarityForm::factors;
}

}  // namespace twinscreen
