#include "engine/fit/linear_sums.hpp"

#include <algorithm>

#include <ATen/ATen.h>

#include "engine/base/error.hpp"

namespace twinscreen {
namespace {

at::Tensor matrix(std::span<double> values, std::size_t rows, std::size_t columns)
{
    return at::from_blob(values.data(),
                         {static_cast<std::int64_t>(rows), static_cast<std::int64_t>(columns)},
                         at::TensorOptions().dtype(at::kDouble));
}

void add_to(std::vector<double>& sums, const std::vector<double>& others)
{
    TWINSCREEN_REQUIRE(sums.size() == others.size(), internal, "sums of other features are added");
    for (std::size_t i = 0; i < sums.size(); ++i) sums[i] += others[i];
}

/// Places on and above the diagonal of x^T x, in blocks: half of the products.
void add_products(const at::Tensor& x, const at::Tensor& xx)
{
    constexpr std::int64_t block = 512;
    const std::int64_t features = x.size(1);
    for (std::int64_t row = 0; row < features; row += block) {
        const std::int64_t rows = std::min(block, features - row);
        at::Tensor to = xx.narrow(0, row, rows).narrow(1, row, features - row);
        to.addmm_(x.narrow(1, row, rows).t(), x.narrow(1, row, features - row));
    }
}

}  // namespace

LinearSums::LinearSums(std::vector<double> x_reference, std::vector<double> y_reference)
    : features(x_reference.size()),
      responses(y_reference.size()),
      x0(std::move(x_reference)),
      y0(std::move(y_reference)),
      x(features),
      y(responses),
      yy(responses),
      xx(features * features),
      xy(features * responses)
{
}

void LinearSums::add(std::span<double> more_features, std::span<double> more_responses)
{
    const c10::InferenceMode no_gradients;
    const std::size_t count = features > 0 ? more_features.size() / features : 0;
    TWINSCREEN_REQUIRE(
        more_features.size() == count * features && more_responses.size() == count * responses,
        internal, "features and responses of different numbers of images");
    at::Tensor added_x = matrix(more_features, count, features);
    at::Tensor added_y = matrix(more_responses, count, responses);
    added_x.sub_(matrix(x0, 1, features));
    added_y.sub_(matrix(y0, 1, responses));
    images += static_cast<double>(count);
    matrix(x, 1, features).add_(added_x.sum(0, true));
    matrix(y, 1, responses).add_(added_y.sum(0, true));
    matrix(yy, 1, responses).add_(added_y.square().sum(0, true));
    add_products(added_x, matrix(xx, features, features));
    matrix(xy, features, responses).addmm_(added_x.t(), added_y);
}

void LinearSums::merge(const LinearSums& others)
{
    TWINSCREEN_REQUIRE(x0 == others.x0 && y0 == others.y0, internal,
                       "sums about other references are added");
    images += others.images;
    add_to(x, others.x);
    add_to(y, others.y);
    add_to(yy, others.yy);
    add_to(xx, others.xx);
    add_to(xy, others.xy);
}

void LinearSums::complete_xx()
{
    const c10::InferenceMode no_gradients;
    constexpr std::int64_t block = 512;
    const at::Tensor all = matrix(xx, features, features);
    for (std::int64_t first = 0; first < all.size(0); first += block) {
        const std::int64_t rows = std::min(block, all.size(0) - first);
        const std::int64_t rest = all.size(0) - first - rows;
        at::Tensor corner = all.narrow(0, first, rows).narrow(1, first, rows);
        corner.copy_(corner.triu() + corner.triu(1).t());
        at::Tensor below = all.narrow(0, first + rows, rest).narrow(1, first, rows);
        below.copy_(all.narrow(0, first, rows).narrow(1, first + rows, rest).t());
    }
}

std::vector<double> LinearSums::packed_xx() const
{
    std::vector<double> packed;
    packed.reserve(features * (features + 1) / 2);
    for (std::size_t row = 0; row < features; ++row)
        packed.insert(packed.end(), xx.begin() + static_cast<std::ptrdiff_t>(row * features + row),
                      xx.begin() + static_cast<std::ptrdiff_t>((row + 1) * features));
    return packed;
}

void LinearSums::unpack_xx(std::span<const double> packed)
{
    TWINSCREEN_REQUIRE(packed.size() == features * (features + 1) / 2, internal,
                       "{} packed products for {} features", packed.size(), features);
    for (std::size_t row = 0; row < features; ++row) {
        const std::size_t count = features - row;
        std::ranges::copy(packed.first(count),
                          xx.begin() + static_cast<std::ptrdiff_t>(row * features + row));
        packed = packed.subspan(count);
    }
}

}  // namespace twinscreen
