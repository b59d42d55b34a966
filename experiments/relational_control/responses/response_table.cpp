#include "experiments/relational_control/responses/response_table.hpp"

#include <algorithm>
#include <cmath>

#include "experiments/relational_control/responses/response_stage.hpp"

namespace twinscreen {

std::vector<std::uint32_t> MeanResponses::rows_of(std::span<const std::uint32_t> images) const
{
    std::vector<std::uint32_t> rows;
    for (const std::uint32_t image : images)
        rows.push_back(
            static_cast<std::uint32_t>(std::ranges::lower_bound(usable, image) - usable.begin()));
    return rows;
}

MeanResponses read_mean_responses(const Study& study, const StageHistory& history)
{
    const std::uint64_t images = history.items(ResponseStage::stage_name);
    MeanResponses responses;
    responses.populations = study.populations.size();
    const OwnedBatch stored =
        history.read(ResponseStage::stage_name, ResponseStage::mean_column, 0, images);
    const auto values = stored.values<float>();
    responses.values.assign(values.begin(), values.end());
    responses.missing = read_missing_responses(study, history);
    for (std::uint32_t image = 0; image < images; ++image) {
        bool is_usable = true;
        for (std::size_t at = 0; at < responses.populations; ++at) {
            if (std::isfinite(responses.at(image, at))) continue;
            is_usable = false;
            ++responses.missing.images[at];
        }
        if (is_usable) responses.usable.push_back(image);
    }
    return responses;
}

std::vector<float> training_response(const MeanResponses& responses, const Study& study,
                                     const Fold& fold, std::size_t area)
{
    std::vector<float> mean(responses.images());
    for (std::size_t image = 0; image < mean.size(); ++image) {
        double sum = 0.0;
        for (const std::size_t subject : fold.train)
            sum += static_cast<double>(responses.at(image, study.population(subject, area)));
        mean[image] = static_cast<float>(sum / static_cast<double>(fold.train.size()));
    }
    return mean;
}

double response_deviation(const std::vector<float>& responses,
                          const std::vector<std::uint32_t>& images)
{
    double sum = 0.0, squares = 0.0;
    for (const std::uint32_t image : images) sum += static_cast<double>(responses[image]);
    const double mean = sum / static_cast<double>(images.size());
    for (const std::uint32_t image : images) {
        const double apart = static_cast<double>(responses[image]) - mean;
        squares += apart * apart;
    }
    return std::sqrt(squares / static_cast<double>(images.size()));
}

}  // namespace twinscreen
