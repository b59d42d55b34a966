#include "engine/fit/ridge.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include <gtest/gtest.h>

#include "engine/base/error.hpp"
#include "kernels/normal.hpp"

namespace {

using namespace twinscreen;

double normal(std::uint64_t item, std::uint32_t index)
{
    return static_cast<double>(normal_draws({5, DrawStream::synthetic_noise, item, index})[0]);
}

/// Images whose responses are linear in some of the features, with noise; features with large means
/// and unequal spreads.
struct Study {
    std::size_t images = 60;
    std::size_t features = 12;
    std::size_t units = 3;
    std::vector<double> x;  // [images, features]
    std::vector<double> y;  // [images, units]

    Study()
    {
        for (std::uint64_t image = 0; image < images; ++image) {
            for (std::uint32_t f = 0; f < features; ++f)
                x.push_back(100.0 + f + (1.0 + f) * normal(image, f));
            for (std::uint32_t unit = 0; unit < units; ++unit)
                y.push_back(7.0 + at(image, unit) - 0.1 * at(image, unit + 1) +
                            0.5 * normal(image, 100 + unit));
        }
    }
    double at(std::size_t image, std::size_t feature) const
    {
        return x[image * features + feature];
    }

    /// Sums of the images whose number modulo `groups` is the group's.
    std::vector<LinearSums> grouped(std::size_t groups) const
    {
        const std::vector<double> x0(features, 100.0);
        const std::vector<double> y0(units, 100.0);
        std::vector<LinearSums> sums(groups, LinearSums(x0, y0));
        for (std::size_t image = 0; image < images; ++image) {
            std::vector<double> row(x.begin() + long(image * features),
                                    x.begin() + long((image + 1) * features));
            std::vector<double> answer(y.begin() + long(image * units),
                                       y.begin() + long((image + 1) * units));
            sums[image % groups].add(row, answer);
        }
        return sums;
    }
};

/// Solves A w = b by elimination with pivots: independent of any library.
std::vector<double> solved(std::vector<double> a, std::vector<double> b)
{
    const std::size_t n = b.size();
    for (std::size_t column = 0; column < n; ++column) {
        std::size_t pivot = column;
        for (std::size_t row = column; row < n; ++row)
            if (std::abs(a[row * n + column]) > std::abs(a[pivot * n + column])) pivot = row;
        for (std::size_t j = 0; j < n; ++j) std::swap(a[column * n + j], a[pivot * n + j]);
        std::swap(b[column], b[pivot]);
        for (std::size_t row = column + 1; row < n; ++row) {
            const double factor = a[row * n + column] / a[column * n + column];
            for (std::size_t j = column; j < n; ++j) a[row * n + j] -= factor * a[column * n + j];
            b[row] -= factor * b[column];
        }
    }
    for (std::size_t row = n; row-- > 0;) {
        for (std::size_t j = row + 1; j < n; ++j) b[row] -= a[row * n + j] * b[j];
        b[row] /= a[row * n + row];
    }
    return b;
}

/// A fit by hand: intercept, then one weight per feature.
std::vector<double> fitted_by_hand(const Study& study, const std::vector<std::size_t>& images,
                                   std::size_t unit, double lambda, bool standardise,
                                   const std::vector<double>& weight)
{
    const std::size_t features = study.features;
    const auto n = static_cast<double>(images.size());
    std::vector<double> mean(features), scale(features);
    double mean_y = 0.0;
    for (const std::size_t image : images) mean_y += study.y[image * study.units + unit] / n;
    for (std::size_t f = 0; f < features; ++f) {
        for (const std::size_t image : images) mean[f] += study.at(image, f) / n;
        double squares = 0.0;
        for (const std::size_t image : images)
            squares += std::pow(study.at(image, f) - mean[f], 2) / n;
        scale[f] = std::sqrt(weight[f]) / (standardise ? std::sqrt(squares) : 1.0);
    }
    std::vector<double> a(features * features), b(features);
    for (const std::size_t image : images)
        for (std::size_t i = 0; i < features; ++i) {
            const double zi = (study.at(image, i) - mean[i]) * scale[i];
            b[i] += zi * (study.y[image * study.units + unit] - mean_y);
            for (std::size_t j = 0; j < features; ++j)
                a[i * features + j] += zi * (study.at(image, j) - mean[j]) * scale[j];
        }
    for (std::size_t i = 0; i < features; ++i) a[i * features + i] += lambda;
    std::vector<double> w = solved(a, b);
    std::vector<double> result{mean_y};
    for (std::size_t f = 0; f < features; ++f) {
        result.push_back(w[f] * scale[f]);
        result[0] -= mean[f] * result.back();
    }
    return result;
}

double predicted(const Study& study, std::size_t image, const std::vector<double>& fit)
{
    double sum = fit[0];
    for (std::size_t f = 0; f < study.features; ++f) sum += fit[f + 1] * study.at(image, f);
    return sum;
}

std::vector<std::size_t> images_where(const Study& study, const auto& holds)
{
    std::vector<std::size_t> images;
    for (std::size_t image = 0; image < study.images; ++image)
        if (holds(image)) images.push_back(image);
    return images;
}

/// Squared error over all folds, and that of the training means.
std::pair<double, double> validated_by_hand(const Study& study, std::size_t folds, std::size_t unit,
                                            double lambda, bool standardise,
                                            const std::vector<double>& weight)
{
    double error = 0.0;
    double of_mean = 0.0;
    for (std::size_t fold = 0; fold < folds; ++fold) {
        const auto train = images_where(study, [&](std::size_t i) { return i % folds != fold; });
        const auto fit = fitted_by_hand(study, train, unit, lambda, standardise, weight);
        double mean = 0.0;
        for (const std::size_t image : train)
            mean += study.y[image * study.units + unit] / static_cast<double>(train.size());
        for (std::size_t image = fold; image < study.images; image += folds) {
            const double answer = study.y[image * study.units + unit];
            error += std::pow(answer - predicted(study, image, fit), 2);
            of_mean += std::pow(answer - mean, 2);
        }
    }
    return {error, of_mean};
}

const std::vector<std::size_t> five_folds{0, 1, 2, 3, 4};

void expect_equal_to_hand(const Study& study, const RidgeFit& fit, const RidgeSettings& settings)
{
    std::vector<std::vector<double>> candidates = settings.candidates;
    if (candidates.empty()) candidates.emplace_back(study.features, 1.0);
    const auto all = images_where(study, [](std::size_t) { return true; });
    for (std::size_t unit = 0; unit < study.units; ++unit) {
        double least = INFINITY;
        double of_mean = 0.0;
        std::pair<std::size_t, std::size_t> best;
        for (std::size_t c = 0; c < candidates.size(); ++c)
            for (std::size_t l = 0; l < settings.lambdas.size(); ++l) {
                const auto [error, mean] = validated_by_hand(study, 5, unit, settings.lambdas[l],
                                                             settings.standardise, candidates[c]);
                if (error <= least) best = {c, l};
                least = std::min(least, error);
                of_mean = mean;
            }
        ASSERT_EQ(fit.candidate[unit], best.first);
        ASSERT_EQ(fit.lambda[unit], best.second);
        EXPECT_NEAR(fit.validation_r2[unit], 1.0 - least / of_mean, 1e-9);
        const auto hand = fitted_by_hand(study, all, unit, settings.lambdas[best.second],
                                         settings.standardise, candidates[best.first]);
        EXPECT_NEAR(fit.map.intercept[unit], hand[0], 1e-6 * std::abs(hand[0]));
        for (std::size_t f = 0; f < study.features; ++f)
            EXPECT_NEAR(fit.map.weights[f * study.units + unit], hand[f + 1], 1e-9);
    }
}

TEST(Ridge, EqualsADirectSolveAndChoosesThePenaltyThatADirectSearchChooses)
{
    const Study study;
    for (const bool standardise : {true, false}) {
        const RidgeSettings settings{{0.01, 1.0, 10.0, 100.0, 10000.0}, standardise, 0, {}, {}};

        const RidgeFit fit = fit_ridge(study.grouped(5), five_folds, study.units, settings);

        expect_equal_to_hand(study, fit, settings);
    }
}

TEST(Ridge, BandsHavePenaltiesOfTheirOwn)
{
    const Study study;
    std::vector<double> first(study.features, 0.0);
    std::fill(first.begin(), first.begin() + 4, 2.0);
    std::vector<double> mixed(study.features, 0.1);
    std::fill(mixed.begin(), mixed.begin() + 4, 1.9);
    const RidgeSettings settings{
        {0.1, 10.0, 1000.0}, true, 0, {std::vector<double>(study.features, 1.0), first, mixed}, {}};

    const RidgeFit fit = fit_ridge(study.grouped(5), five_folds, study.units, settings);

    expect_equal_to_hand(study, fit, settings);
    for (std::size_t unit = 0; unit < study.units; ++unit)
        if (fit.candidate[unit] == 1) {
            EXPECT_EQ(fit.map.weights[4 * study.units + unit], 0.0);
        }
}

TEST(Ridge, AllComponentsGiveTheSameFitAndFewGiveOneOfLowRank)
{
    const Study study;
    const RidgeSettings plain{{1.0, 100.0}, true, 0, {}, {}};
    RidgeSettings all = plain;
    all.components = static_cast<std::int64_t>(study.features);
    RidgeSettings one = plain;
    one.components = 1;
    // Folds share the scale of all images here, so fix the penalty to compare.
    RidgeSettings fixed = plain;
    fixed.lambdas = {10.0};
    all.lambdas = one.lambdas = fixed.lambdas;

    const RidgeFit without = fit_ridge(study.grouped(5), five_folds, study.units, fixed);
    const RidgeFit with = fit_ridge(study.grouped(5), five_folds, study.units, all);
    const RidgeFit single = fit_ridge(study.grouped(5), five_folds, study.units, one);

    for (std::size_t i = 0; i < with.map.weights.size(); ++i)
        EXPECT_NEAR(with.map.weights[i], without.map.weights[i], 1e-9);
    for (std::size_t unit = 0; unit < study.units; ++unit)
        EXPECT_NEAR(with.map.intercept[unit], without.map.intercept[unit], 1e-6);
    // Weights of all units are multiples of one component.
    for (std::size_t f = 1; f < study.features; ++f)
        EXPECT_NEAR(single.map.weights[f * 3] * single.map.weights[1],
                    single.map.weights[f * 3 + 1] * single.map.weights[0], 1e-12);
}

TEST(Ridge, ASingleValidationGroupIsHeldOutAndFittedInTheEnd)
{
    const Study study;
    const RidgeSettings settings{{0.1, 10.0, 1e5}, true, 0, {}, {}};

    const RidgeFit fit = fit_ridge(study.grouped(3), {1}, study.units, settings);

    const auto all = images_where(study, [](std::size_t) { return true; });
    const auto train = images_where(study, [](std::size_t i) { return i % 3 != 1; });
    const std::vector<double> ones(study.features, 1.0);
    for (std::size_t unit = 0; unit < study.units; ++unit) {
        std::vector<double> errors;
        for (const double lambda : settings.lambdas) {
            const auto hand = fitted_by_hand(study, train, unit, lambda, true, ones);
            errors.push_back(0.0);
            for (std::size_t i = 1; i < study.images; i += 3)
                errors.back() +=
                    std::pow(study.y[i * study.units + unit] - predicted(study, i, hand), 2);
        }
        const auto best = std::min_element(errors.begin(), errors.end()) - errors.begin();
        ASSERT_EQ(fit.lambda[unit], static_cast<std::uint32_t>(best));
        const auto hand =
            fitted_by_hand(study, all, unit, settings.lambdas[size_t(best)], true, ones);
        EXPECT_NEAR(fit.map.weights[unit], hand[1], 1e-9);
    }
}

TEST(Ridge, ControlsAreFittedWithThePenaltyOfTheirUnit)
{
    Study study;
    study.units = 4;
    std::vector<double> wide;
    for (std::size_t image = 0; image < study.images; ++image)
        for (const std::size_t unit : {0U, 1U, 1U, 0U}) wide.push_back(study.y[image * 3 + unit]);
    study.y = wide;
    const RidgeSettings settings{{0.1, 10.0, 1e5}, true, 0, {}, {}};

    const RidgeFit fit = fit_ridge(study.grouped(5), five_folds, 2, settings);

    ASSERT_EQ(fit.lambda.size(), 2U);
    const auto all = images_where(study, [](std::size_t) { return true; });
    const std::vector<double> ones(study.features, 1.0);
    const auto hand = fitted_by_hand(study, all, 2, settings.lambdas[fit.lambda[0]], true, ones);
    for (std::size_t f = 0; f < study.features; ++f)
        EXPECT_NEAR(fit.map.weights[f * 4 + 2], hand[f + 1], 1e-9);
}

TEST(Ridge, AConstantFeatureHasNoWeight)
{
    Study study;
    for (std::size_t image = 0; image < study.images; ++image)
        study.x[image * study.features + 2] = 3.25 + 1e-8 * double(image % 2);
    const RidgeSettings settings{{1.0}, true, 0, {}, {}};

    const RidgeFit fit = fit_ridge(study.grouped(5), five_folds, study.units, settings);

    for (std::size_t unit = 0; unit < study.units; ++unit) {
        EXPECT_EQ(fit.map.weights[2 * study.units + unit], 0.0);
        EXPECT_TRUE(std::isfinite(fit.map.intercept[unit]));
    }
}

TEST(Ridge, FeaturesThatDependOnEachOtherNeedAPenalty)
{
    Study study;
    for (std::size_t image = 0; image < study.images; ++image)
        for (std::size_t f = 1; f < study.features; ++f)
            study.x[image * study.features + f] = study.x[image * study.features];
    const RidgeSettings settings{{1e-300}, true, 0, {}, {}};

    EXPECT_THROW(fit_ridge(study.grouped(5), five_folds, study.units, settings), Error);
}

TEST(LinearSums, ArePackedWithoutLossAndMerge)
{
    const Study study;
    const std::vector<LinearSums> halves = study.grouped(2);
    LinearSums whole = study.grouped(1)[0];
    LinearSums merged = halves[0];

    merged.merge(halves[1]);
    LinearSums copy(merged.x0, merged.y0);
    copy.unpack_xx(merged.packed_xx());

    for (std::size_t i = 0; i < study.features; ++i)
        for (std::size_t j = i; j < study.features; ++j) {
            EXPECT_NEAR(merged.xx[i * study.features + j], whole.xx[i * study.features + j],
                        1e-9 * std::abs(whole.xx[i * study.features + j]) + 1e-9);
            EXPECT_EQ(copy.xx[i * study.features + j], merged.xx[i * study.features + j]);
        }
    EXPECT_EQ(merged.images, 60.0);
}

}  // namespace
