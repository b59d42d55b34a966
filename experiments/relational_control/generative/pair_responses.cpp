#include "experiments/relational_control/generative/pair_responses.hpp"

#include <algorithm>
#include <cmath>

#include "engine/twin/untrained_twin.hpp"
#include "experiments/relational_control/columns.hpp"
#include "experiments/relational_control/generative/picture.hpp"
#include "kernels/pattern.hpp"

namespace twinscreen {
namespace {

constexpr std::uint32_t wanted_batch = 64;

}  // namespace

PairResponses::PairResponses(const Study& study, const AreaPair& pair, std::span<const Twin> twins,
                             std::span<const TwinCovariates> covariates)
{
    const std::array<std::size_t, 2> areas{pair.first, pair.second};
    std::vector<std::size_t> kept;  // rows of the joint unit table, ascending
    for (const std::size_t area : areas)
        for (std::size_t subject = 0; subject < study.subjects.size(); ++subject) {
            const auto& units = study.populations[study.population(subject, area)].units;
            kept.insert(kept.end(), units.begin(), units.end());
        }
    std::ranges::sort(kept);
    kept.erase(std::unique(kept.begin(), kept.end()), kept.end());

    std::size_t first = 0;  // row of a twin's first unit
    for (std::size_t twin = 0; twin < twins.size(); ++twin) {
        const std::size_t end = first + twins[twin].units.rows();
        std::vector<std::size_t> rows;
        for (const std::size_t row : kept)
            if (row >= first && row < end) rows.push_back(row - first);
        first = end;
        if (rows.empty()) continue;
        twins_.push_back(copy_of(twins[twin]));
        keep_units(twins_.back(), rows);
        covariates_.push_back(covariates[twin]);
    }
    for (std::size_t side = 0; side < 2; ++side)
        for (std::size_t subject = 0; subject < study.subjects.size(); ++subject) {
            std::vector<std::uint32_t> columns;
            for (const std::size_t row :
                 study.populations[study.population(subject, areas[side])].units)
                columns.push_back(
                    static_cast<std::uint32_t>(std::ranges::lower_bound(kept, row) - kept.begin()));
            units_[side].push_back(std::move(columns));
            names_[side].push_back(fmt::format("area '{}' of subject '{}'",
                                               study.areas[areas[side]],
                                               study.subjects[subject].name));
        }

    forward_ = std::make_unique<ForwardPlan>(twins_, covariates_, ForwardWants{true, false});
    const std::uint32_t multiple = forward_->batch_multiple();
    batch_ = std::size_t{multiple} * std::max(1U, wanted_batch / multiple);
    for (const InputTransform& canvas : forward_->canvases())
        inputs_.canvases.emplace_back(ElementType::f32,
                                      canvas.row_shape().with_rows(extent(batch_)));
    for (OwnedBatch& canvas : inputs_.canvases) std::ranges::fill(canvas.values<float>(), 0.0F);
    for (const CovariateBinding& binding : forward_->bindings())
        inputs_.covariates.push_back(covariate_values(binding, Table{}, 0, extent(batch_)));
    responses_ = OwnedBatch(ElementType::f32, {extent(batch_), extent(kept.size())});
}

void PairResponses::answer(const PictureSize& size, std::span<const std::uint8_t> pictures,
                           std::span<float> means, Executor& executor)
{
    const std::size_t count = pictures.size() / size.bytes();
    inputs_.items.count = count;
    inputs_.valid.assign(count, 1);
    for (std::size_t at = 0; at < count; ++at) {
        const Picture picture = picture_of(size, pictures.subspan(at * size.bytes(), size.bytes()));
        for (std::size_t canvas = 0; canvas < inputs_.canvases.size(); ++canvas)
            apply_transform(forward_->canvases()[canvas], picture,
                            rows_of(inputs_.canvases[canvas].view(), extent(at), 1));
    }
    forward_->run(inputs_, responses_.view(), Batch{}, executor);

    const std::size_t width = forward_->units().rows();
    auto mean = means.begin();
    for (std::size_t at = 0; at < count; ++at)
        for (std::size_t side = 0; side < 2; ++side)
            for (std::size_t subject = 0; subject < subjects(); ++subject) {
                const auto& units = units_[side][subject];
                *mean =
                    normalise_pattern(responses_.values<float>().data() + at * width, units.data(),
                                      static_cast<std::uint32_t>(units.size()), nullptr)
                        .mean;
                TWINSCREEN_REQUIRE(std::isfinite(*mean), data,
                                   "the mean response of {} to a generated picture is {}",
                                   names_[side][subject], *mean);
                ++mean;
            }
}

}  // namespace twinscreen
