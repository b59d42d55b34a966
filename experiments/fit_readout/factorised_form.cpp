#include <algorithm>
#include <cmath>

#include "engine/base/digest.hpp"
#include "engine/fit/factorised.hpp"
#include "experiments/fit_readout/readout_form.hpp"

namespace twinscreen {
namespace {

std::size_t size_of(std::int64_t extent) { return static_cast<std::size_t>(extent); }

class FactorisedForm final : public ReadoutForm {
public:
    explicit FactorisedForm(const FitData& data) : data_(data) {}

    std::vector<ColumnSpec> columns(std::size_t block_units) const override
    {
        const Axis units{"block_unit", static_cast<std::int64_t>(block_units), ""};
        return {{"channel_weight",
                 Domain::item,
                 ElementType::f64,
                 {{"channel", most_channels(), ""}, units},
                 "",
                 "weight of each channel; rows beyond the map's channels are 0"},
                {"pixel_weight",
                 Domain::item,
                 ElementType::f64,
                 {{"pixel", most_pixels(), ""}, units},
                 "",
                 "weight of each pixel, row by row; rows beyond the map's pixels are 0"}};
    }

    FittedUnits fit(const FitTask& task, const ShardTools& tools) const override
    {
        const MapShape& map = *data_.sets[task.set].map;
        const ImageSplit& split = data_.images.split;
        const bool has_validation = split.held_out.size() == 1;
        const std::size_t chooser = has_validation ? split.held_out.front() : 0;
        std::vector<std::uint64_t> train;
        for (std::size_t group = 0; group < split.groups.size(); ++group)
            if (group != chooser)
                train.insert(train.end(), split.groups[group].begin(), split.groups[group].end());
        std::ranges::sort(train);
        const std::vector<std::uint64_t>& held = split.groups[chooser];

        const std::vector<float> train_maps = maps_of(task.set, train);
        const std::vector<float> held_maps = maps_of(task.set, held);
        const std::vector<double> train_answers = answers_of(task, train);
        const std::vector<double> held_answers = answers_of(task, held);
        const FactorisedFit fit =
            fit_factorised({train_maps, train_answers}, {held_maps, held_answers}, task.units,
                           {size_of(map.channels), size_of(map.pixels()), data_.settings.lambdas,
                            data_.settings.rounds, tools.check_stop});
        return fitted_units(fit, task, tools);
    }

    void fill(std::size_t set, const std::vector<std::vector<double>>& rows,
              const std::vector<double>& intercepts, FittedReadout& readout) const override
    {
        const MapShape& map = *data_.sets[set].map;
        const auto units = static_cast<std::int64_t>(intercepts.size());
        readout.readout = "factorised";
        readout.tensors = {
            {"weight", {units, map.channels}, transposed(rows.at(0), map.channels, units)},
            {"field.0", {units, map.pixels()}, transposed(rows.at(1), map.pixels(), units)},
            {"bias", {units}, intercepts}};
    }

    std::string settings_text() const override
    {
        const FitSettings& settings = data_.settings;
        return fmt::format("factorised, penalties {:g} to {:g} ({}), {} rounds",
                           settings.lambdas.front(), settings.lambdas.back(),
                           Digest{}.add_bytes(std::as_bytes(std::span(settings.lambdas))).hex(),
                           settings.rounds);
    }

    double memory_bytes() const override
    {
        // The maps as read, in another order and scaled, and the mixed maps with their gradient.
        const auto images = static_cast<double>(data_.images.fitted.size());
        const auto units =
            static_cast<double>(std::min<std::size_t>(2 * data_.images.neurons.size(), 2048));
        double most = 0.0;
        for (const FeatureSet& set : data_.sets)
            most = std::max(most, 6.0 * static_cast<double>(set.columns.size()) +
                                      4.0 * units * static_cast<double>(set.map->pixels()));
        return sizeof(float) * images * most;
    }

    float cost(std::size_t set) const override
    {
        return static_cast<float>(data_.sets[set].columns.size());
    }

private:
    std::int64_t most_channels() const
    {
        std::int64_t most = 0;
        for (const FeatureSet& set : data_.sets) most = std::max(most, set.map->channels);
        return most;
    }
    std::int64_t most_pixels() const
    {
        std::int64_t most = 0;
        for (const FeatureSet& set : data_.sets) most = std::max(most, set.map->pixels());
        return most;
    }

    /// [items, pixels, channels] out of rows [channels, pixels].
    std::vector<float> maps_of(std::size_t set, std::span<const std::uint64_t> items) const
    {
        constexpr std::size_t images_at_once = 64;
        const FeatureSet& of = data_.sets[set];
        const std::size_t channels = size_of(of.map->channels);
        const std::size_t pixels = size_of(of.map->pixels());
        std::vector<float> maps(items.size() * channels * pixels);
        float* to = maps.data();
        for (std::size_t first = 0; first < items.size(); first += images_at_once) {
            const auto some = items.subspan(first, std::min(images_at_once, items.size() - first));
            const std::vector<float> rows = data_.rows.read(some);
            for (std::size_t row = 0; row < some.size(); ++row)
                for (std::size_t pixel = 0; pixel < pixels; ++pixel)
                    for (std::size_t channel = 0; channel < channels; ++channel)
                        *to++ = rows[row * data_.rows.features() +
                                     of.columns[channel * pixels + pixel]];
        }
        return maps;
    }

    /// Responses to some fitted images [items, 2 * units of the task], the shuffled ones behind.
    std::vector<double> answers_of(const FitTask& task, std::span<const std::uint64_t> items) const
    {
        const std::size_t all = data_.images.neurons.size();
        std::vector<double> answers;
        for (const std::uint64_t item : items) {
            const auto place = static_cast<std::size_t>(
                std::ranges::lower_bound(data_.images.fitted, item) - data_.images.fitted.begin());
            for (std::size_t half = 0; half < 2; ++half) {
                const auto first =
                    data_.images.responses.begin() +
                    static_cast<std::ptrdiff_t>((2 * place + half) * all + task.first_unit);
                answers.insert(answers.end(), first,
                               first + static_cast<std::ptrdiff_t>(task.units));
            }
        }
        return answers;
    }

    FittedUnits fitted_units(const FactorisedFit& fit, const FitTask& task,
                             const ShardTools& tools) const
    {
        constexpr std::size_t images_at_once = 64;
        FittedUnits fitted;
        const std::span<const std::uint64_t> test = data_.images.split.test;
        for (std::size_t first = 0; first < test.size(); first += images_at_once) {
            tools.check_stop();
            const auto some = test.subspan(first, std::min(images_at_once, test.size() - first));
            const std::vector<double> more = fit.predict(maps_of(task.set, some));
            fitted.predicted.insert(fitted.predicted.end(), more.begin(), more.end());
        }
        fitted.intercept.assign(fit.intercept.begin(),
                                fit.intercept.begin() + static_cast<std::ptrdiff_t>(task.units));
        fitted.validation_r2 = fit.validation_r2;
        for (std::size_t unit = 0; unit < task.units; ++unit) {
            fitted.lambda.push_back(data_.settings.lambdas[fit.penalty[unit]]);
            fitted.choice.push_back(fit.rounds[unit]);
        }
        fitted.weights.push_back(row_of(fit.channel_weights, most_channels(), task));
        fitted.weights.push_back(row_of(fit.pixel_weights, most_pixels(), task));
        return fitted;
    }

    /// Weights [rows, 2 * units] without the shuffled ones, as a row of the store.
    static OwnedBatch row_of(const std::vector<double>& weights, std::int64_t most_rows,
                             const FitTask& task)
    {
        OwnedBatch row(ElementType::f64,
                       {1, most_rows, static_cast<std::int64_t>(task.block_units)});
        const std::span<double> to = row.values<double>();
        std::ranges::fill(to, 0.0);
        for (std::size_t at = 0; at * 2 * task.units < weights.size(); ++at)
            std::copy_n(weights.begin() + static_cast<std::ptrdiff_t>(at * 2 * task.units),
                        task.units,
                        to.begin() + static_cast<std::ptrdiff_t>(at * task.block_units));
        return row;
    }

    static std::vector<double> transposed(const std::vector<double>& values, std::int64_t rows,
                                          std::int64_t columns)
    {
        std::vector<double> result;
        for (std::int64_t column = 0; column < columns; ++column)
            for (std::int64_t row = 0; row < rows; ++row)
                result.push_back(values[size_of(row * columns + column)]);
        return result;
    }

    FitData data_;
};

}  // namespace

std::unique_ptr<ReadoutForm> factorised_form(const FitData& data)
{
    return std::make_unique<FactorisedForm>(data);
}

}  // namespace twinscreen
