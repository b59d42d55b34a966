#include "experiments/fit_readout/band_weights.hpp"

#include <cmath>
#include <numeric>

#include "kernels/random.hpp"

namespace twinscreen {

std::vector<std::vector<double>> band_weights(const std::vector<std::uint32_t>& band,
                                              std::size_t bands, std::uint32_t draws,
                                              std::uint64_t seed)
{
    std::vector<std::vector<double>> simplex{std::vector<double>(bands, 1.0)};
    for (std::size_t only = 0; bands > 1 && only < bands; ++only) {
        simplex.emplace_back(bands, 0.0);
        simplex.back()[only] = static_cast<double>(bands);
    }
    for (std::uint32_t draw = 0; bands > 1 && draw < draws; ++draw) {
        std::vector<double> weights;
        for (std::uint32_t b = 0; b < bands; ++b) {
            const auto bits = draw_bits({seed, DrawStream::band_weights, draw, b});
            weights.push_back(-std::log(static_cast<double>(unit_interval(bits[0]))));
        }
        const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
        for (double& weight : weights) weight *= static_cast<double>(bands) / sum;
        simplex.push_back(std::move(weights));
    }
    std::vector<std::vector<double>> candidates;
    for (const std::vector<double>& weights : simplex) {
        candidates.emplace_back();
        for (const std::uint32_t b : band) candidates.back().push_back(weights[b]);
    }
    return candidates;
}

}  // namespace twinscreen
