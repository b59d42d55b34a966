#pragma once

#include <memory>
#include <vector>

#include "experiments/relational_control/multivariate/similarity_views.hpp"
#include "experiments/relational_control/responses/patterns.hpp"
#include "experiments/relational_control/search/device_pairs.hpp"
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

    /// The same in the executor's memory, where it stays until others are asked for; null where it
    /// does not fit, which is warned of once.
    DevicePairs* on(Executor& executor, std::size_t view, std::size_t pair) const;

    /// Agreements of sets in every pair through every view, as `of` scores them.
    ///
    /// sets    [sets, set_size]
    /// scores  [sets, views, pairs]
    void score_all(std::span<const std::uint32_t> sets, std::uint32_t set_size,
                   std::span<double> scores) const;

    /// What scoring one set reads, from memory or the disk: stored similarities, or patterns.
    std::uint64_t bytes_of_set(std::size_t view, std::size_t pair, std::uint32_t set_size) const;

    const SimilarityViews& views() const noexcept { return views_; }
    SimilarityForm form() const noexcept { return form_; }

private:
    void score_stored(std::span<const std::uint32_t> sets, std::uint32_t set_size,
                      std::span<double> scores) const;
    PatternRows rows_of(std::size_t population) const;
    StoredSimilarities stored_of(std::size_t view, std::size_t pair) const;
    std::uint64_t bytes_on_device_of(std::size_t view, std::size_t pair) const;
    std::vector<WeightedPatterns> patterns_of(std::size_t view, std::size_t area) const;

    const Study& study_;
    const SimilarityViews& views_;
    SimilarityForm form_;
    Patterns patterns_;
    std::vector<const float*> stored_;    ///< [views]
    std::shared_ptr<const int> opening_;  ///< tells what was opened from what was before
    mutable bool has_warned_ = false;     ///< that an executor has too little memory
};

}  // namespace twinscreen
