#include "engine/fit/ridge.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include <ATen/ATen.h>

#include "engine/base/error.hpp"
#include "engine/fit/tensors.hpp"

namespace twinscreen {
namespace {

constexpr double infinite = std::numeric_limits<double>::infinity();

void require_solved(bool is_solved, double lambda)
{
    TWINSCREEN_REQUIRE(is_solved, data,
                       "the penalty {:g} is too small for these features: they are linearly "
                       "dependent to the last digit. Choose larger lambdas",
                       lambda);
}

/// LinearSums as tensors on the same memory.
struct Sums {
    double images = 0.0;
    at::Tensor x;   // [features]
    at::Tensor y;   // [responses]
    at::Tensor yy;  // [responses]
    at::Tensor xx;  // [features, features]
    at::Tensor xy;  // [features, responses]
};

Sums sums_of(const LinearSums& sums)
{
    const std::int64_t features = extent(sums.features);
    const std::int64_t responses = extent(sums.responses);
    return {sums.images,
            tensor_on(sums.x, {features}),
            tensor_on(sums.y, {responses}),
            tensor_on(sums.yy, {responses}),
            tensor_on(sums.xx, {features, features}),
            tensor_on(sums.xy, {features, responses})};
}

/// Without the images of a group.
Sums minus(const Sums& a, const Sums& b)
{
    return {a.images - b.images, a.x - b.x, a.y - b.y, a.yy - b.yy, a.xx - b.xx, a.xy - b.xy};
}

Sums total_of(const std::vector<Sums>& groups)
{
    Sums total = groups.front();
    for (at::Tensor* part : {&total.x, &total.y, &total.yy, &total.xx, &total.xy})
        *part = part->clone();
    for (std::size_t group = 1; group < groups.size(); ++group) {
        const Sums& more = groups[group];
        total.images += more.images;
        total.x.add_(more.x);
        total.y.add_(more.y);
        total.yy.add_(more.yy);
        total.xx.add_(more.xx);
        total.xy.add_(more.xy);
    }
    return total;
}

/// The same about other means, with features multiplied by `scale`.
struct Centred {
    at::Tensor xx;  // [features, features]
    at::Tensor xy;  // [features, responses]
    at::Tensor yy;  // [responses]
};

Centred centred(const Sums& sums, const at::Tensor& mean_x, const at::Tensor& mean_y,
                const at::Tensor& scale)
{
    // xx - x m' - m x' + n m m', in two updates of rank one.
    const at::Tensor half_x = sums.x - 0.5 * sums.images * mean_x;
    at::Tensor xx = sums.xx.clone();
    xx.addr_(half_x, mean_x, 1.0, -1.0).addr_(mean_x, half_x, 1.0, -1.0);
    xx.mul_(scale.unsqueeze(0)).mul_(scale.unsqueeze(1));
    at::Tensor xy = at::addr(sums.xy, sums.x - sums.images * mean_x, mean_y, 1.0, -1.0);
    xy.addr_(mean_x, sums.y, 1.0, -1.0).mul_(scale.unsqueeze(1));
    return {std::move(xx), std::move(xy),
            sums.yy - 2.0 * mean_y * sums.y + sums.images * mean_y.square()};
}

/// What features are multiplied by before they are penalised alike.
at::Tensor scale_of(const Sums& train, const at::Tensor& x0, bool standardise)
{
    constexpr double least = 1e-6;  // of its size; single precision keeps 6e-8
    const at::Tensor mean = train.x / train.images;
    const at::Tensor deviation =
        (train.xx.diagonal() / train.images - mean.square()).clamp_min(0.0).sqrt();
    const at::Tensor varies = deviation > least * (x0 + mean).abs();
    const at::Tensor scale = standardise ? deviation.reciprocal() : at::ones_like(deviation);
    return at::where(varies, scale, at::zeros_like(scale));
}

/// One training set, ready to be solved for any penalty.
class Problem {
public:
    Problem(const Sums& train, const at::Tensor& scale)
        : mean_x_(train.x / train.images),
          mean_y_(train.y / train.images),
          scale_(scale),
          about_mean_(centred(train, mean_x_, mean_y_, scale)),
          penalised_(at::empty_like(about_mean_.xx))
    {
    }

    /// Weights of the scaled features [features, columns] for some columns of the responses;
    /// undefined where the penalty is too small for features that depend on each other.
    at::Tensor solve(double lambda, const at::Tensor& columns)
    {
        penalised_.copy_(about_mean_.xx);
        penalised_.diagonal().add_(lambda);
        const auto [factor, failure] = at::linalg_cholesky_ex(penalised_);
        if (failure.item<int>() != 0) return {};
        return at::cholesky_solve(about_mean_.xy.index_select(1, columns), factor);
    }
    const at::Tensor& mean_x() const { return mean_x_; }
    const at::Tensor& mean_y() const { return mean_y_; }
    const at::Tensor& scale() const { return scale_; }

private:
    at::Tensor mean_x_;
    at::Tensor mean_y_;
    at::Tensor scale_;
    Centred about_mean_;
    at::Tensor penalised_;  // reused: fresh memory of this size is slow
};

/// w^T A w of every column w, from the places on and above the diagonal of A: half of the products.
at::Tensor quadratic_forms(const at::Tensor& a, const at::Tensor& weights)
{
    constexpr std::int64_t block = 256;
    at::Tensor sums = at::zeros({weights.size(1)}, at::kDouble);
    for (std::int64_t first = 0; first < a.size(0); first += block) {
        const std::int64_t rows = std::min(block, a.size(0) - first);
        const std::int64_t rest = a.size(0) - first - rows;
        const at::Tensor mine = weights.narrow(0, first, rows);
        const at::Tensor row = a.narrow(0, first, rows);
        at::Tensor product = row.narrow(1, first, rows).mm(mine);
        if (rest > 0)
            product.addmm_(row.narrow(1, first + rows, rest), weights.narrow(0, first + rows, rest),
                           1.0, 2.0);
        sums.add_((mine * product).sum(0));
    }
    return sums;
}

/// Squared errors of the units over the images of a group.
at::Tensor squared_error(const Centred& group, const at::Tensor& weights, std::int64_t units)
{
    return group.yy.narrow(0, 0, units) - 2.0 * (weights * group.xy.narrow(1, 0, units)).sum(0) +
           quadratic_forms(group.xx, weights);
}

class RidgeFitter {
public:
    RidgeFitter(std::vector<Sums> groups, at::Tensor x0, std::size_t units,
                const RidgeSettings& settings)
        : groups_(std::move(groups)),
          total_(total_of(groups_)),
          x0_(std::move(x0)),
          units_(extent(units)),
          settings_(settings)
    {
        for (const std::vector<double>& weights : settings.candidates)
            candidates_.push_back(tensor_on(weights, {extent(weights.size())}).sqrt());
        if (candidates_.empty()) candidates_.push_back(at::ones_like(total_.x));
    }

    /// Fills lambda, candidate and validation_r2.
    void choose(const std::vector<std::size_t>& held_out, RidgeFit& fit) const
    {
        const std::size_t lambdas = settings_.lambdas.size();
        std::vector<at::Tensor> errors(candidates_.size() * lambdas);
        at::Tensor of_mean = at::zeros({units_}, at::kDouble);
        for (const std::size_t group : held_out) add_errors(groups_[group], errors, of_mean);
        fit.lambda.assign(static_cast<std::size_t>(units_), 0);
        fit.candidate = fit.lambda;
        std::vector<double> least(fit.lambda.size(), infinite);
        for (std::size_t place = 0; place < errors.size(); ++place) {
            const std::vector<double> found = values_of(errors[place]);
            for (std::size_t unit = 0; unit < found.size(); ++unit) {
                if (!(found[unit] <= least[unit])) continue;
                least[unit] = found[unit];
                fit.candidate[unit] = static_cast<std::uint32_t>(place / lambdas);
                fit.lambda[unit] = static_cast<std::uint32_t>(place % lambdas);
            }
        }
        require_solved(std::ranges::count(least, infinite) == 0, settings_.lambdas.back());
        fit.validation_r2 = least;
        const std::vector<double> worst = values_of(of_mean);
        for (std::size_t unit = 0; unit < worst.size(); ++unit)
            fit.validation_r2[unit] = 1.0 - least[unit] / worst[unit];
    }

    /// Weights [features, responses] of the features as they are, about their references.
    struct Solution {
        at::Tensor weights;
        at::Tensor mean_x;
        at::Tensor mean_y;
    };
    Solution refit(const RidgeFit& chosen) const
    {
        const at::Tensor scale = scale_of(total_, x0_, settings_.standardise);
        Solution solution{at::zeros_like(total_.xy), {}, {}};
        for (std::size_t candidate = 0; candidate < candidates_.size(); ++candidate) {
            std::map<std::uint32_t, std::vector<std::int64_t>> columns =
                columns_of(chosen, static_cast<std::uint32_t>(candidate));
            if (columns.empty() && candidate > 0) continue;
            Problem problem(total_, scale * candidates_[candidate]);
            solution.mean_x = problem.mean_x();
            solution.mean_y = problem.mean_y();
            for (const auto& [lambda, list] : columns) {
                check_stop();
                const at::Tensor index = at::tensor(list, at::kLong);
                const at::Tensor weights = problem.solve(settings_.lambdas[lambda], index);
                require_solved(weights.defined(), settings_.lambdas[lambda]);
                solution.weights.index_copy_(1, index, weights * problem.scale().unsqueeze(1));
            }
        }
        return solution;
    }

private:
    void check_stop() const
    {
        if (settings_.check_stop) settings_.check_stop();
    }

    /// Errors on one group of fits to all others: [candidates, lambdas], each [units].
    void add_errors(const Sums& group, std::vector<at::Tensor>& errors, at::Tensor& of_mean) const
    {
        const Sums train = minus(total_, group);
        const at::Tensor scale = scale_of(train, x0_, settings_.standardise);
        const at::Tensor columns = at::arange(units_, at::kLong);
        const std::size_t lambdas = settings_.lambdas.size();
        for (std::size_t candidate = 0; candidate < candidates_.size(); ++candidate) {
            Problem problem(train, scale * candidates_[candidate]);
            const Centred held =
                centred(group, problem.mean_x(), problem.mean_y(), problem.scale());
            if (candidate == 0) of_mean.add_(held.yy.narrow(0, 0, units_));
            for (std::size_t lambda = 0; lambda < lambdas; ++lambda) {
                check_stop();
                const at::Tensor weights = problem.solve(settings_.lambdas[lambda], columns);
                const at::Tensor error = weights.defined()
                                             ? squared_error(held, weights, units_)
                                             : at::full({units_}, infinite, at::kDouble);
                at::Tensor& sum = errors[candidate * lambdas + lambda];
                sum = sum.defined() ? sum + error : error;
            }
        }
    }

    /// The responses that each penalty was chosen for, controls included.
    std::map<std::uint32_t, std::vector<std::int64_t>> columns_of(const RidgeFit& chosen,
                                                                  std::uint32_t candidate) const
    {
        std::map<std::uint32_t, std::vector<std::int64_t>> columns;
        for (std::int64_t unit = 0; unit < units_; ++unit) {
            const auto at = static_cast<std::size_t>(unit);
            if (chosen.candidate[at] != candidate) continue;
            columns[chosen.lambda[at]].push_back(unit);
            if (units_ + unit < total_.y.size(0))
                columns[chosen.lambda[at]].push_back(units_ + unit);
        }
        return columns;
    }

    std::vector<Sums> groups_;
    Sums total_;
    at::Tensor x0_;
    std::int64_t units_;
    const RidgeSettings& settings_;
    std::vector<at::Tensor> candidates_;  // square roots of weights, each [features]
};

/// Principal components of the scaled features, as a map of the features [features, components].
at::Tensor components_of(const Sums& total, const at::Tensor& scale, std::int64_t count)
{
    const at::Tensor mean = total.x / total.images;
    const at::Tensor xx = centred(total, mean, total.y / total.images, scale).xx;
    const at::Tensor vectors = std::get<1>(at::linalg_eigh(xx));
    const std::int64_t kept = std::min(count, vectors.size(1));
    return vectors.narrow(1, vectors.size(1) - kept, kept) * scale.unsqueeze(1);
}

Sums mapped(const Sums& sums, const at::Tensor& map)
{
    return {sums.images, map.t().mv(sums.x),          sums.y,
            sums.yy,     map.t().mm(sums.xx.mm(map)), map.t().mm(sums.xy)};
}

}  // namespace

RidgeFit fit_ridge(std::vector<LinearSums> groups, const std::vector<std::size_t>& held_out,
                   std::size_t units, const RidgeSettings& settings)
{
    const c10::InferenceMode no_gradients;
    const LinearSums& any = groups.front();
    const at::Tensor x0 = tensor_on(any.x0, {extent(any.features)});
    const at::Tensor y0 = tensor_on(any.y0, {extent(any.responses)});
    std::vector<Sums> sums;
    for (LinearSums& group : groups) {
        group.complete_xx();
        sums.push_back(sums_of(group));
    }
    RidgeFit fit;
    RidgeFitter::Solution solution;
    if (settings.components == 0) {
        const RidgeFitter fitter(std::move(sums), x0, units, settings);
        fitter.choose(held_out, fit);
        solution = fitter.refit(fit);
    } else {
        const Sums total = total_of(sums);
        const at::Tensor map =
            components_of(total, scale_of(total, x0, settings.standardise), settings.components);
        for (Sums& group : sums) group = mapped(group, map);
        RidgeSettings plain = settings;
        plain.standardise = false;
        const RidgeFitter fitter(std::move(sums), at::zeros({map.size(1)}, at::kDouble), units,
                                 plain);
        fitter.choose(held_out, fit);
        solution = fitter.refit(fit);
        solution.weights = map.mm(solution.weights);
        solution.mean_x = total.x / total.images;
    }
    fit.map.features = any.features;
    fit.map.responses = any.responses;
    fit.map.weights = values_of(solution.weights);
    fit.map.intercept =
        values_of(y0 + solution.mean_y - solution.weights.t().mv(x0 + solution.mean_x));
    return fit;
}

}  // namespace twinscreen
