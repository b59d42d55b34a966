#pragma once

#include <memory>
#include <vector>

#include "experiments/relational_control/multivariate/similarity_views.hpp"
#include "experiments/relational_control/responses/patterns.hpp"
#include "experiments/relational_control/search/pair_similarity.hpp"

namespace twinscreen {

/// Scores sets of images: how far two areas agree about them, seen through a view.
class Agreement {
public:
    Agreement(const Study& study, const SimilarityViews& views, SimilarityForm form)
        : study_(study), views_(views), form_(form)
    {
    }

    /// Once earlier stages are finished. Valid until the history is closed.
    void open(const StageHistory& history);

    /// Items 0 ... items() - 1 are the images that have a pattern in every population.
    std::size_t items() const noexcept { return patterns_.items(); }
    std::uint32_t image(std::uint32_t item) const { return patterns_.images[item]; }
    /// The other way round; the image must be an item.
    std::uint32_t item(std::uint32_t image) const;
    const Patterns& patterns() const noexcept { return patterns_; }
    /// One for each thread that uses it.
    std::unique_ptr<PairSimilarity> of(std::size_t view, std::size_t pair) const;

    const SimilarityViews& views() const noexcept { return views_; }
    SimilarityForm form() const noexcept { return form_; }

private:
    std::vector<WeightedPatterns> patterns_of(std::size_t view, std::size_t area) const;

    const Study& study_;
    const SimilarityViews& views_;
    SimilarityForm form_;
    Patterns patterns_;
    std::vector<const float*> stored_;  ///< [views]
};

}  // namespace twinscreen
