// What a cross-validated ridge fit takes against the matrix products in it: 10,000 images x 2,000
// features x 1,000 units, 10 penalties, 5 folds, in double precision. Beside it, how far the
// weights are from a direct solve. fit_readout_bench prints one JSON object a line.

#include <algorithm>
#include <numeric>
#include <vector>

#include <ATen/ATen.h>

#include "benchmarks/bench_support.hpp"
#include "engine/fit/ridge.hpp"
#include "engine/twin/bundle.hpp"

namespace twinscreen {
namespace {

constexpr std::int64_t images = 10'000;
constexpr std::int64_t features = 2'000;
constexpr std::int64_t units = 1'000;
constexpr std::int64_t folds = 5;
constexpr std::int64_t images_at_once = 512;
constexpr int repeats = 5;
const std::vector<double> lambdas{1e0, 1e1, 1e2, 3e2, 1e3, 3e3, 1e4, 3e4, 1e5, 1e6};

struct Study {
    at::Tensor x = at::randn({images, features}, at::kDouble);
    at::Tensor y;

    Study()
    {
        const at::Tensor weights = at::randn({features, units}, at::kDouble) / 20.0;
        y = x.mm(weights) + at::randn({images, units}, at::kDouble);
    }
};

std::span<double> values_of(const at::Tensor& tensor)
{
    return {tensor.data_ptr<double>(), static_cast<std::size_t>(tensor.numel())};
}

/// The fit as the experiment does it: sums over the images of each fold, then penalties from the
/// sums.
RidgeFit fitted(const Study& study)
{
    std::vector<LinearSums> groups(
        folds, LinearSums(std::vector<double>(features), std::vector<double>(units)));
    for (std::int64_t first = 0, block = 0; first < images; first += images_at_once, ++block) {
        const std::int64_t count = std::min(images_at_once, images - first);
        const at::Tensor x = study.x.narrow(0, first, count).clone();
        const at::Tensor y = study.y.narrow(0, first, count).clone();
        groups[static_cast<std::size_t>(block % folds)].add(values_of(x), values_of(y));
    }
    std::vector<std::size_t> all(folds);
    std::iota(all.begin(), all.end(), std::size_t{0});
    return fit_ridge(std::move(groups), all, static_cast<std::size_t>(units),
                     {lambdas, true, 0, {}, {}});
}

/// The matrix products alone: of features with themselves (half of them) and with responses, and
/// for each fold and penalty, and once in the end, a product as large as the solution and one as
/// large as its error.
void products(const Study& study)
{
    constexpr std::int64_t block = 512;
    at::Tensor xx = at::zeros({features, features}, at::kDouble);
    at::Tensor xy = at::zeros({features, units}, at::kDouble);
    for (std::int64_t first = 0; first < images; first += images_at_once) {
        const std::int64_t count = std::min(images_at_once, images - first);
        const at::Tensor x = study.x.narrow(0, first, count);
        for (std::int64_t row = 0; row < features; row += block) {
            const std::int64_t rows = std::min(block, features - row);
            xx.narrow(0, row, rows)
                .narrow(1, row, features - row)
                .addmm_(x.narrow(1, row, rows).t(), x.narrow(1, row, features - row));
        }
        xy.addmm_(x.t(), study.y.narrow(0, first, count));
    }
    at::Tensor weights = xy;
    const std::int64_t solutions = folds * static_cast<std::int64_t>(lambdas.size());
    for (std::int64_t solution = 0; solution <= 2 * solutions; ++solution) weights = xx.mm(xy);
}

/// Largest difference of the weights from those of a direct solve with the penalties that were
/// chosen, over the largest weight.
double distance_from_direct(const Study& study, const RidgeFit& fit)
{
    const at::Tensor z = study.x - study.x.mean(0);
    const at::Tensor scale = z.square().mean(0).sqrt();
    const at::Tensor scaled = z / scale;
    const at::Tensor xx = scaled.t().mm(scaled);
    const at::Tensor xy = scaled.t().mm(study.y - study.y.mean(0));
    const at::Tensor ours =
        at::from_blob(const_cast<double*>(fit.map.weights.data()), {features, units},
                      at::TensorOptions().dtype(at::kDouble));
    double worst = 0.0;
    for (std::size_t lambda = 0; lambda < lambdas.size(); ++lambda) {
        std::vector<std::int64_t> columns;
        for (std::int64_t unit = 0; unit < units; ++unit)
            if (fit.lambda[static_cast<std::size_t>(unit)] == lambda) columns.push_back(unit);
        if (columns.empty()) continue;
        const at::Tensor index = at::tensor(columns, at::kLong);
        const at::Tensor penalised = xx + lambdas[lambda] * at::eye(features, at::kDouble);
        const at::Tensor direct =
            at::linalg_solve(penalised, xy.index_select(1, index)) / scale.unsqueeze(1);
        const at::Tensor found = ours.index_select(1, index);
        worst = std::max(worst, ((direct - found).abs().max() / direct.abs().max()).item<double>());
    }
    return worst;
}

void run()
{
    set_compute_threads(1);
    const c10::InferenceMode no_gradients;
    const Study study;
    RidgeFit fit = fitted(study);
    std::vector<double> ratios;
    std::vector<double> seconds;
    for (int repeat = 0; repeat < repeats; ++repeat) {
        const bool is_first = repeat % 2 == 0;  // who goes first alternates
        double alone = 0.0;
        if (!is_first) alone = bench::seconds_of([&] { products(study); });
        seconds.push_back(bench::seconds_of([&] { fit = fitted(study); }));
        if (is_first) alone = bench::seconds_of([&] { products(study); });
        ratios.push_back(seconds.back() / alone);
    }
    const nlohmann::ordered_json facts{{"images", images},  {"features", features},
                                       {"units", units},    {"penalties", lambdas.size()},
                                       {"folds", folds},    {"threads", 1},
                                       {"repeats", repeats}};
    bench::report({"fit_readout", "ridge", "time_over_matrix_products", "x",
                   bench::summary_of(ratios), bench::at_most(1.5)},
                  facts);
    bench::report({"fit_readout", "ridge", "time", "s", bench::summary_of(seconds), {}}, facts);
    const double distance = distance_from_direct(study, fit);
    bench::report({"fit_readout",
                   "ridge",
                   "distance_from_direct_solve",
                   "of the largest weight",
                   {distance, distance, distance},
                   bench::at_most(1e-6)},
                  facts);
}

}  // namespace
}  // namespace twinscreen

int main() { return twinscreen::bench::exit_code_of(twinscreen::run); }
