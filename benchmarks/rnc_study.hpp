#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <vector>

#include "experiments/relational_control/search/pair_similarity.hpp"

namespace twinscreen::bench {

/// Patterns of two areas, made up: six hidden factors that both share, four and noise of their own.
/// Products of rows are correlations.
class MadePatterns {
public:
    MadePatterns(std::uint32_t items, std::uint32_t units);
    PatternRows area(std::size_t area) const;
    std::uint32_t items() const noexcept { return items_; }

private:
    std::uint32_t items_;
    std::uint32_t units_;
    std::vector<float> rows_[2];
};

/// Similarities of both areas, [items, items, 2], in memory of its own.
class MadeSimilarities {
public:
    enum class Pages { ordinary, huge };
    MadeSimilarities(const MadePatterns& patterns, Pages pages);
    /// The same values, written to a file and mapped from it.
    MadeSimilarities(const MadeSimilarities& other, const std::filesystem::path& file);
    ~MadeSimilarities();
    MadeSimilarities(MadeSimilarities&&) = delete;
    StoredSimilarities view() const noexcept { return {values_, items_, 2, 0, 1}; }

private:
    std::uint32_t items_;
    std::size_t bytes_;
    float* values_;
};

}  // namespace twinscreen::bench
