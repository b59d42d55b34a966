#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "engine/run/experiment.hpp"
#include "experiments/relational_control/generative/image_generator.hpp"
#include "experiments/relational_control/study/study.hpp"

namespace twinscreen {

/// What the twins of one pair of areas answer to generated pictures. Only the pair's kept units are
/// computed; pictures become inputs as all stimuli do, through each twin's transform.
class PairResponses {
public:
    /// `twins` are those that the study's units were chosen from.
    PairResponses(const Study& study, const AreaPair& pair, std::span<const Twin> twins,
                  std::span<const TwinCovariates> covariates);

    /// Pictures to answer at once: more do not help.
    std::size_t batch_pictures() const noexcept { return batch_; }
    std::size_t subjects() const noexcept { return units_[0].size(); }
    /// Multiply-accumulates of one picture.
    double macs() const { return forward_->macs_per_item(); }

    /// Mean over the kept units, as those that the baseline is made of.
    ///
    /// pictures  [pictures, height, width, channels], at most batch_pictures()
    /// means     [pictures, 2 areas, subjects]
    /// throws    Error(data) where a mean is not finite
    void answer(const PictureSize& size, std::span<const std::uint8_t> pictures,
                std::span<float> means, Executor& executor);

private:
    std::vector<Twin> twins_;
    std::vector<TwinCovariates> covariates_;
    std::unique_ptr<ForwardPlan> forward_;
    std::size_t batch_ = 0;
    InputBatch inputs_;
    OwnedBatch responses_;                                          // [batch, units]
    std::array<std::vector<std::vector<std::uint32_t>>, 2> units_;  // [areas][subjects][units]
    std::array<std::vector<std::string>, 2> names_;                 // [areas][subjects]
};

}  // namespace twinscreen
