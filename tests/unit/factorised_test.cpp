#include "engine/fit/factorised.hpp"

#include <cmath>

#include <gtest/gtest.h>

#include "kernels/normal.hpp"

namespace {

using namespace twinscreen;

double normal(std::uint64_t item, std::uint32_t index)
{
    return static_cast<double>(normal_draws({9, DrawStream::synthetic_noise, item, index})[0]);
}

/// Units that see one corner of a map through two of its channels.
struct Study {
    static constexpr std::size_t channels = 5;
    static constexpr std::size_t pixels = 9;
    static constexpr std::size_t responses = 4;  // two units and their controls
    std::vector<float> maps;
    std::vector<double> answers;

    explicit Study(std::uint64_t first, std::size_t images, double noise)
    {
        for (std::uint64_t image = first; image < first + images; ++image) {
            std::vector<double> map;
            for (std::uint32_t value = 0; value < channels * pixels; ++value)
                map.push_back(10.0 + 3.0 * normal(image, value));
            const auto at = [&](std::size_t pixel, std::size_t channel) {
                return map[pixel * channels + channel];
            };
            answers.push_back(4.0 + 2.0 * (at(0, 1) - at(0, 3)) + noise * normal(image, 1000));
            answers.push_back(1.0 + 0.5 * (at(8, 0) + at(7, 0)) + noise * normal(image, 1001));
            answers.push_back(normal(image, 1002));
            answers.push_back(normal(image, 1003));
            maps.insert(maps.end(), map.begin(), map.end());
        }
    }
    MappedImages images() const { return {maps, answers}; }
    double predicted(const FactorisedFit& fit, std::size_t image, std::size_t response) const
    {
        double sum = fit.intercept[response];
        for (std::size_t p = 0; p < pixels; ++p)
            for (std::size_t c = 0; c < channels; ++c)
                sum += fit.pixel_weights[p * responses + response] *
                       fit.channel_weights[c * responses + response] *
                       static_cast<double>(maps[(image * pixels + p) * channels + c]);
        return sum;
    }
};

FactorisedSettings settings()
{
    return {Study::channels, Study::pixels, {1e-6, 1e-3, 1.0}, 20, {}};
}

TEST(Factorised, FindsThePlaceAndTheChannelsOfPlantedUnits)
{
    const Study train(0, 300, 0.1);
    const Study validation(1000, 100, 0.1);
    const Study test(2000, 50, 0.0);

    const FactorisedFit fit = fit_factorised(train.images(), validation.images(), 2, settings());

    for (std::size_t unit = 0; unit < 2; ++unit) {
        double error = 0.0;
        double spread = 0.0;
        for (std::size_t image = 0; image < 50; ++image) {
            const double answer = test.answers[image * 4 + unit];
            error += std::pow(answer - test.predicted(fit, image, unit), 2);
            spread += std::pow(answer - (unit == 0 ? 4.0 : 11.0), 2);
        }
        EXPECT_LT(error, 0.02 * spread);
        EXPECT_GT(fit.validation_r2[unit], 0.97);
        EXPECT_LT(fit.penalty[unit], 2U);
    }
}

TEST(Factorised, ChoosesALargePenaltyWhereThereIsNothingToFind)
{
    Study train(0, 60, 0.0);
    Study validation(1000, 60, 0.0);
    for (Study* study : {&train, &validation})
        for (std::size_t image = 0; image < 60; ++image)
            for (std::size_t unit = 0; unit < 2; ++unit)
                study->answers[image * 4 + unit] = study->answers[image * 4 + 2 + unit];

    const FactorisedFit fit = fit_factorised(train.images(), validation.images(), 2, settings());

    for (std::size_t unit = 0; unit < 2; ++unit) {
        EXPECT_EQ(fit.penalty[unit], 2U);
        EXPECT_LT(fit.validation_r2[unit], 0.1);
    }
}

TEST(Factorised, GivesTheSameBitsTwice)
{
    const Study train(0, 80, 0.5);
    const Study validation(1000, 40, 0.5);

    const FactorisedFit one = fit_factorised(train.images(), validation.images(), 2, settings());
    const FactorisedFit two = fit_factorised(train.images(), validation.images(), 2, settings());

    EXPECT_EQ(one.channel_weights, two.channel_weights);
    EXPECT_EQ(one.pixel_weights, two.pixel_weights);
    EXPECT_EQ(one.intercept, two.intercept);
}

TEST(Factorised, CopesWithAChannelThatNeverVaries)
{
    Study train(0, 80, 0.1);
    Study validation(1000, 40, 0.1);
    for (Study* study : {&train, &validation})
        for (std::size_t at = 4; at < study->maps.size(); at += Study::channels)
            study->maps[at] = 2.0F;

    const FactorisedFit fit = fit_factorised(train.images(), validation.images(), 2, settings());

    for (std::size_t response = 0; response < 4; ++response) {
        EXPECT_EQ(fit.channel_weights[4 * 4 + response], 0.0);
        EXPECT_TRUE(std::isfinite(fit.intercept[response]));
    }
}

}  // namespace
