#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "engine/fit/linear_fit.hpp"
#include "engine/fit/linear_sums.hpp"

namespace twinscreen {

struct RidgeSettings {
    /// Penalties to choose from, ascending, above 0: lambda |w|^2 beside the sum of squared errors
    /// over the images (as scikit-learn's alpha).
    std::vector<double> lambdas;
    bool standardise = true;      ///< features are scaled to unit variance over the training images
    std::int64_t components = 0;  ///< keep so many principal components; 0: all features
    /// Weights of the features to choose from, each [features], at least 0: w is penalised by
    /// lambda / weight (banded ridge). Empty: all 1.
    std::vector<std::vector<double>> candidates;
    std::function<void()> check_stop;  ///< called between solutions; may throw
};

struct RidgeFit {
    LinearFit map;
    std::vector<std::uint32_t> lambda;     ///< [units] index into the penalties
    std::vector<std::uint32_t> candidate;  ///< [units] index into the candidates
    /// [units] 1 - squared error / squared error of the training mean, over all held-out groups
    std::vector<double> validation_r2;
};

/// Ridge regression (Hoerl & Kennard 1970) with a penalty per unit chosen by cross-validation, from
/// sums alone: groups of images are held out in turn, the penalty with the least squared error over
/// all of them is taken (the larger one of equals), and the fit repeated on all images. With
/// `candidates`, each band of features has a penalty of its own (Nunez-Elizalde, Huth & Gallant
/// 2019).
///
/// Means and scales are those of the images fitted on. A feature that varies by less than a
/// millionth of its size counts as constant and has weight 0.
///
/// Penalties that are too small for features that depend on each other are passed over; Error(data)
/// if all are.
///
/// groups    of images, about the same references; at least two
/// held_out  numbers of the groups that are held out in turn
/// units     the first so many responses choose penalties; response units + u, if there is one, is
///           fitted with the penalty of unit u (a control)
///
/// Independent; on the compute threads.
RidgeFit fit_ridge(std::vector<LinearSums> groups, const std::vector<std::size_t>& held_out,
                   std::size_t units, const RidgeSettings& settings);

}  // namespace twinscreen
