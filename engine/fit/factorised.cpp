#include "engine/fit/factorised.hpp"

#include <algorithm>
#include <limits>

#include <torch/optim/lbfgs.h>

#include "engine/base/error.hpp"
#include "engine/fit/tensors.hpp"

namespace twinscreen {
namespace {

/// Images as the fit sees them: scaled maps [images * pixels, channels], z-scored responses.
struct Scaled {
    at::Tensor maps;
    at::Tensor responses;
    std::int64_t images = 0;
};

/// Means and spreads that scaling takes out, and puts back.
struct Scale {
    at::Tensor channel_mean;
    at::Tensor channel_spread;
    at::Tensor response_mean;
    at::Tensor response_spread;
};

at::Tensor maps_on(const MappedImages& images, const FactorisedSettings& settings)
{
    const std::int64_t channels = extent(settings.channels);
    return at::from_blob(const_cast<float*>(images.maps.data()),
                         {extent(images.maps.size()) / channels, channels},
                         at::TensorOptions().dtype(at::kFloat));
}

at::Tensor responses_on(const MappedImages& images, const FactorisedSettings& settings)
{
    const auto count = extent(images.maps.size() / settings.channels / settings.pixels);
    return tensor_on(images.responses, {count, extent(images.responses.size()) / count});
}

/// 1 / spread, 0 where nothing varies by more than a millionth of its size.
at::Tensor inverse_of(const at::Tensor& spread, const at::Tensor& mean)
{
    return at::where(spread > 1e-6 * mean.abs(), spread.reciprocal(), at::zeros_like(spread));
}

Scale scale_of(const at::Tensor& maps, const at::Tensor& responses)
{
    const at::Tensor wide = maps.to(at::kDouble);
    return {wide.mean(0), wide.std(0, /*unbiased=*/false), responses.mean(0),
            responses.std(0, /*unbiased=*/false)};
}

Scaled scaled(const at::Tensor& maps, const at::Tensor& responses, const Scale& scale)
{
    return {
        (maps - scale.channel_mean.to(at::kFloat)) *
            inverse_of(scale.channel_spread, scale.channel_mean).to(at::kFloat),
        ((responses - scale.response_mean) * inverse_of(scale.response_spread, scale.response_mean))
            .to(at::kFloat),
        responses.size(0)};
}

/// Weights of some responses, as they are being fitted.
struct Weights {
    at::Tensor channels;  // [channels, responses]
    at::Tensor field;     // [pixels, responses] distance of pixels * weight from 1
    at::Tensor offset;    // [responses]

    static Weights at_start(const FactorisedSettings& settings, std::int64_t responses)
    {
        const auto options = at::TensorOptions().dtype(at::kFloat);
        return {at::zeros({extent(settings.channels), responses}, options),
                at::zeros({extent(settings.pixels), responses}, options),
                at::zeros({responses}, options)};
    }
    std::vector<at::Tensor> all() const { return {channels, field, offset}; }
};

at::Tensor predicted(const Scaled& images, const Weights& weights)
{
    const std::int64_t pixels = weights.field.size(0);
    const at::Tensor mixed =
        images.maps.mm(weights.channels).view({images.images, pixels, weights.offset.size(0)});
    return (mixed * (weights.field + 1.0)).sum(1) / static_cast<double>(pixels) + weights.offset;
}

/// Squared errors summed over images, per response.
at::Tensor squared_error(const Scaled& images, const Weights& weights)
{
    const at::NoGradGuard no_gradients;
    return (predicted(images, weights) - images.responses).square().sum(0).to(at::kDouble);
}

/// Minimises the penalised error of some responses; calls `after(round, weights)` after each round.
template <class After>
void minimise(const Scaled& images, double penalty, const FactorisedSettings& settings,
              const After& after)
{
    const at::AutoGradMode with_gradients(true);
    Weights weights = Weights::at_start(settings, images.responses.size(1));
    for (at::Tensor& part : weights.all()) part.requires_grad_(true);
    torch::optim::LBFGS optimiser(
        weights.all(), torch::optim::LBFGSOptions(1.0).max_iter(5).history_size(10).line_search_fn(
                           "strong_wolfe"));
    const auto loss = [&] {
        if (settings.check_stop) settings.check_stop();
        optimiser.zero_grad();
        const at::Tensor error =
            (predicted(images, weights) - images.responses).square().mean(0).sum();
        const at::Tensor size =
            weights.channels.square().sum() + weights.field.square().mean(0).sum();
        at::Tensor sum = error + penalty * size;
        sum.backward();
        return sum;
    };
    for (int round = 0; round < settings.rounds; ++round) {
        optimiser.step(loss);
        after(static_cast<std::uint32_t>(round), weights);
    }
}

Scaled with_responses(const Scaled& images, const at::Tensor& columns)
{
    return {images.maps, images.responses.index_select(1, columns), images.images};
}

/// Fills penalty, rounds and validation_r2.
void choose(const Scaled& train, const Scaled& validation, std::size_t units,
            const FactorisedSettings& settings, FactorisedFit& fit)
{
    const at::Tensor columns = at::arange(extent(units), at::kLong);
    const Scaled mine = with_responses(train, columns);
    const Scaled held = with_responses(validation, columns);
    fit.penalty.assign(units, 0);
    fit.rounds.assign(units, 0);
    std::vector<double> least(units, std::numeric_limits<double>::infinity());
    for (std::uint32_t penalty = 0; penalty < settings.penalties.size(); ++penalty)
        minimise(mine, settings.penalties[penalty], settings,
                 [&](std::uint32_t round, const Weights& weights) {
                     const std::vector<double> error = values_of(squared_error(held, weights));
                     for (std::size_t unit = 0; unit < units; ++unit) {
                         if (!(error[unit] <= least[unit])) continue;
                         least[unit] = error[unit];
                         fit.penalty[unit] = penalty;
                         fit.rounds[unit] = round + 1;
                     }
                 });
    const std::vector<double> of_mean = values_of(held.responses.to(at::kDouble).square().sum(0));
    for (std::size_t unit = 0; unit < units; ++unit)
        fit.validation_r2.push_back(1.0 - least[unit] / of_mean[unit]);
}

/// Weights of all responses with the penalties and rounds that were chosen.
Weights refitted(const Scaled& images, std::size_t units, const FactorisedSettings& settings,
                 const FactorisedFit& chosen)
{
    const std::int64_t responses = images.responses.size(1);
    Weights result = Weights::at_start(settings, responses);
    for (std::uint32_t penalty = 0; penalty < settings.penalties.size(); ++penalty) {
        std::vector<std::int64_t> columns;
        for (std::int64_t response = 0; response < responses; ++response)
            if (chosen.penalty[static_cast<std::size_t>(response) % units] == penalty)
                columns.push_back(response);
        if (columns.empty()) continue;
        const Scaled mine = with_responses(images, at::tensor(columns, at::kLong));
        minimise(mine, settings.penalties[penalty], settings,
                 [&](std::uint32_t round, const Weights& weights) {
                     const at::NoGradGuard no_gradients;
                     for (std::size_t at = 0; at < columns.size(); ++at) {
                         const std::int64_t to = columns[at];
                         if (chosen.rounds[static_cast<std::size_t>(to) % units] != round + 1)
                             continue;
                         const std::int64_t from = extent(at);
                         result.channels.select(1, to).copy_(weights.channels.select(1, from));
                         result.field.select(1, to).copy_(weights.field.select(1, from));
                         result.offset[to].copy_(weights.offset[from]);
                     }
                 });
    }
    return result;
}

}  // namespace

std::vector<double> FactorisedFit::predict(std::span<const float> maps) const
{
    const c10::InferenceMode no_gradients;
    const std::int64_t responses = extent(intercept.size());
    const std::int64_t channels = extent(channel_weights.size()) / responses;
    const std::int64_t pixels = extent(pixel_weights.size()) / responses;
    const std::int64_t images = extent(maps.size()) / channels / pixels;
    const at::Tensor map =
        at::from_blob(const_cast<float*>(maps.data()), {images * pixels, channels},
                      at::TensorOptions().dtype(at::kFloat));
    const at::Tensor mixed =
        map.mm(tensor_on(channel_weights, {channels, responses}).to(at::kFloat));
    const at::Tensor field = tensor_on(pixel_weights, {pixels, responses}).to(at::kFloat);
    const at::Tensor pooled = (mixed.view({images, pixels, responses}) * field).sum(1);
    return values_of(pooled.to(at::kDouble) + tensor_on(intercept, {responses}));
}

FactorisedFit fit_factorised(const MappedImages& train, const MappedImages& validation,
                             std::size_t units, const FactorisedSettings& settings)
{
    const at::Tensor train_maps = maps_on(train, settings);
    const at::Tensor train_responses = responses_on(train, settings);
    const at::Tensor held_maps = maps_on(validation, settings);
    const at::Tensor held_responses = responses_on(validation, settings);
    const Scale of_train = scale_of(train_maps, train_responses);
    FactorisedFit fit;
    choose(scaled(train_maps, train_responses, of_train),
           scaled(held_maps, held_responses, of_train), units, settings, fit);

    const at::Tensor maps = at::cat({train_maps, held_maps}, 0);
    const at::Tensor responses = at::cat({train_responses, held_responses}, 0);
    const Scale scale = scale_of(maps, responses);
    const Weights weights = refitted(scaled(maps, responses, scale), units, settings, fit);

    // Of the maps and responses as they are.
    const at::Tensor channels = weights.channels.to(at::kDouble) *
                                inverse_of(scale.channel_spread, scale.channel_mean).unsqueeze(1) *
                                scale.response_spread;
    const at::Tensor field =
        (weights.field.to(at::kDouble) + 1.0) / static_cast<double>(settings.pixels);
    const at::Tensor of_mean = scale.channel_mean.unsqueeze(0).mm(channels).squeeze(0);
    fit.channel_weights = values_of(channels);
    fit.pixel_weights = values_of(field);
    fit.intercept = values_of(weights.offset.to(at::kDouble) * scale.response_spread +
                              scale.response_mean - field.sum(0) * of_mean);
    return fit;
}

}  // namespace twinscreen
