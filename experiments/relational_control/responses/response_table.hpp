#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "experiments/relational_control/responses/missing_responses.hpp"

namespace twinscreen {

/// Mean responses of all populations to all images, in memory.
struct MeanResponses {
    std::size_t populations = 0;
    std::vector<float> values;          ///< [images, populations]
    std::vector<std::uint32_t> usable;  ///< images without NaN, ascending
    MissingResponses missing;

    std::size_t images() const noexcept { return values.size() / populations; }
    /// Places of images in `usable`; each must be there.
    std::vector<std::uint32_t> rows_of(std::span<const std::uint32_t> images) const;
    float at(std::size_t image, std::size_t population) const
    {
        return values[image * populations + population];
    }
};

/// Independent. Reads the finished stage of responses.
MeanResponses read_mean_responses(const Study& study, const StageHistory& history);

/// Mean over the training subjects of a fold of the mean responses of one area, of every image;
/// sums in subject order, in double.
std::vector<float> training_response(const MeanResponses& responses, const Study& study,
                                     const Fold& fold, std::size_t area);

/// Standard deviation of the responses to these images.
///
/// responses  [all images]
double response_deviation(const std::vector<float>& responses,
                          const std::vector<std::uint32_t>& images);

}  // namespace twinscreen
