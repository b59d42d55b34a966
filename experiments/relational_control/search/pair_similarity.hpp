#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "kernels/set_gram.hpp"
#include "kernels/set_score.hpp"

namespace twinscreen {

/// Similarities of pairs of items in two areas, from which sets are scored. Scores do not depend on
/// which sets are scored together. Holds memory to work in: one object per thread.
class PairSimilarity {
public:
    virtual ~PairSimilarity() = default;

    virtual std::uint32_t items() const noexcept = 0;
    /// Sets in one call beyond which the time per set hardly falls, or memory would be too large.
    ///
    /// set_size  2..largest_set
    virtual std::size_t sets_at_once(std::uint32_t set_size) const noexcept = 0;

    /// Agreement of the two areas about each set: Pearson correlation between the strict lower
    /// triangles of their similarity matrices (Kriegeskorte, Mur & Bandettini 2008). NaN where one
    /// does not vary or a similarity is NaN.
    ///
    /// sets    [sets, set_size]  ascending ids, set_size in 2..largest_set
    /// scores  [sets]
    virtual void score_sets(std::span<const std::uint32_t> sets, std::uint32_t set_size,
                            std::span<double> scores) = 0;

    /// Prepares questions about one set; the ids are copied.
    virtual void hold(std::span<const std::uint32_t> ids) = 0;
    /// Similarities of every candidate to every held id; those of an item with itself mean nothing.
    ///
    /// candidates  [candidates]
    /// x, y        [candidates, held]
    virtual void compare_with_held(std::span<const std::uint32_t> candidates, std::span<float> x,
                                   std::span<float> y) = 0;
};

/// From stored similarities, which must outlive the result.
std::unique_ptr<PairSimilarity> from_stored(const StoredSimilarities& stored);
/// Patterns of one population; its similarities count with this weight in the mean.
struct WeightedPatterns {
    PatternRows rows;
    float weight = 1.0F;
};
/// From patterns, which must outlive the result: nothing of size [items, items] is needed. The
/// similarity in an area is the weighted sum over its populations, in their order.
std::unique_ptr<PairSimilarity> from_factors(const std::vector<WeightedPatterns>& first,
                                             const std::vector<WeightedPatterns>& second);
/// One population in each area.
std::unique_ptr<PairSimilarity> from_factors(const PatternRows& first, const PatternRows& second);

/// Where similarities come from.
enum class SimilarityForm {
    stored,   ///< looked up: [items, items, areas] f32 in memory
    factors,  ///< computed from patterns when they are needed
};

/// Bytes of stored similarities.
std::uint64_t stored_bytes(std::uint64_t items, std::uint64_t areas) noexcept;

/// The form in which sets of about 50 are scored faster, of those that fit into memory.
///
/// items            > 0
/// widths           [areas]  units of each area's patterns
/// bytes_available  for stored similarities
SimilarityForm choose_form(std::uint64_t items, std::span<const std::uint32_t> widths,
                           std::uint64_t bytes_available);

}  // namespace twinscreen
