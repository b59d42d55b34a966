#include <algorithm>

#include "engine/base/digest.hpp"
#include "engine/fit/ridge.hpp"
#include "experiments/fit_readout/band_weights.hpp"
#include "experiments/fit_readout/readout_form.hpp"

namespace twinscreen {

std::size_t FitData::widest_set() const
{
    std::size_t widest = 0;
    for (const FeatureSet& set : sets) widest = std::max(widest, set.columns.size());
    return widest;
}

std::vector<double> predict_test_images(const FitData& data, std::size_t set, const LinearFit& map,
                                        const ShardTools& tools)
{
    constexpr std::size_t images_at_once = 512;
    std::vector<double> predicted;
    const std::span<const std::uint64_t> test = data.images.split.test;
    for (std::size_t first = 0; first < test.size(); first += images_at_once) {
        tools.check_stop();
        const std::vector<float> rows =
            data.rows.read(test.subspan(first, std::min(images_at_once, test.size() - first)));
        const std::vector<double> more =
            map.predict(gathered(data.sets[set], rows, data.rows.features()));
        predicted.insert(predicted.end(), more.begin(), more.end());
    }
    return predicted;
}

namespace {

class RidgeForm final : public ReadoutForm {
public:
    RidgeForm(const FitData& data, const MomentStage& moments, std::string moments_stage)
        : data_(data), moments_(moments), moments_stage_(std::move(moments_stage))
    {
    }

    std::vector<ColumnSpec> columns(std::size_t block_units) const override
    {
        return {{"weight",
                 Domain::item,
                 ElementType::f64,
                 {{"set_feature", static_cast<std::int64_t>(data_.widest_set()), ""},
                  {"block_unit", static_cast<std::int64_t>(block_units), ""}},
                 "",
                 "weight of each feature; rows beyond the set's features are 0"}};
    }

    FittedUnits fit(const FitTask& task, const ShardTools& tools) const override
    {
        std::vector<LinearSums> groups;
        const ImageSplit& split = data_.images.split;
        for (std::size_t group = 0; group < split.groups.size(); ++group) {
            tools.check_stop();
            groups.push_back(moments_.load(data_.history, moments_stage_, task.set, group,
                                           task.first_unit, task.units));
        }
        const RidgeFit ridge =
            fit_ridge(std::move(groups), split.held_out, task.units, settings_of(task.set, tools));
        FittedUnits fitted;
        fitted.predicted = predict_test_images(data_, task.set, ridge.map, tools);
        fitted.intercept.assign(
            ridge.map.intercept.begin(),
            ridge.map.intercept.begin() + static_cast<std::ptrdiff_t>(task.units));
        fitted.validation_r2 = ridge.validation_r2;
        for (std::size_t unit = 0; unit < task.units; ++unit) {
            fitted.lambda.push_back(data_.settings.lambdas[ridge.lambda[unit]]);
            fitted.choice.push_back(ridge.candidate[unit]);
        }
        fitted.weights.push_back(row_of(ridge.map, task));
        return fitted;
    }

    void fill(std::size_t set, const std::vector<std::vector<double>>& rows,
              const std::vector<double>& intercepts, FittedReadout& readout) const override
    {
        const auto features = static_cast<std::int64_t>(data_.sets[set].columns.size());
        const auto units = static_cast<std::int64_t>(intercepts.size());
        std::vector<double> kernel = rows.at(0);
        kernel.resize(static_cast<std::size_t>(features * units));
        readout.readout = "dense";
        readout.tensors = {{"kernel", {features, units}, std::move(kernel)},
                           {"bias", {units}, intercepts}};
    }

    std::string settings_text() const override
    {
        const FitSettings& settings = data_.settings;
        return fmt::format("ridge, penalties {:g} to {:g} ({}), {}, {} components, {} band draws",
                           settings.lambdas.front(), settings.lambdas.back(),
                           Digest{}.add_bytes(std::as_bytes(std::span(settings.lambdas))).hex(),
                           settings.standardise ? "standardised" : "as they are",
                           settings.components, settings.band_draws);
    }

    double memory_bytes() const override
    {
        // The sums of every group, and matrices of the same size on the way.
        const auto widest = static_cast<double>(data_.widest_set());
        const auto groups = static_cast<double>(data_.images.split.groups.size());
        return sizeof(double) * widest * widest * (groups + 8.0);
    }

    float cost(std::size_t set) const override
    {
        const auto features = static_cast<float>(data_.sets[set].columns.size());
        return features * features;
    }

private:
    RidgeSettings settings_of(std::size_t set, const ShardTools& tools) const
    {
        const FitSettings& settings = data_.settings;
        RidgeSettings ridge{
            settings.lambdas, settings.standardise, settings.components, {}, tools.check_stop};
        if (settings.band_draws > 0)
            ridge.candidates = band_weights(data_.sets[set].band, data_.sets[set].bands.size(),
                                            settings.band_draws, data_.seed);
        return ridge;
    }

    /// The weights of the units, without the shuffled ones.
    OwnedBatch row_of(const LinearFit& map, const FitTask& task) const
    {
        OwnedBatch row(ElementType::f64, {1, static_cast<std::int64_t>(data_.widest_set()),
                                          static_cast<std::int64_t>(task.block_units)});
        const std::span<double> to = row.values<double>();
        std::ranges::fill(to, 0.0);
        for (std::size_t feature = 0; feature < map.features; ++feature)
            std::copy_n(map.weights.begin() + static_cast<std::ptrdiff_t>(feature * map.responses),
                        task.units,
                        to.begin() + static_cast<std::ptrdiff_t>(feature * task.block_units));
        return row;
    }

    FitData data_;
    const MomentStage& moments_;
    std::string moments_stage_;
};

}  // namespace

std::unique_ptr<ReadoutForm> ridge_form(const FitData& data, const MomentStage& moments,
                                        std::string moments_stage)
{
    return std::make_unique<RidgeForm>(data, moments, std::move(moments_stage));
}

}  // namespace twinscreen
