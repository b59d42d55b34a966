#include "kernels/set_score.hpp"

#include <algorithm>
#include <array>

#include "kernels/set_draw.hpp"
#include "kernels/vectorise.hpp"

namespace twinscreen {
namespace {

constexpr std::size_t similarities_ahead = 4;  // rows whose similarities are on their way
constexpr std::size_t ids_ahead = 12;          // rows whose ids and sums are
constexpr std::size_t ids_per_line = 16;

void ask_for_similarities(const StoredSimilarities& stored, const std::uint32_t* ids,
                          std::uint32_t row)
{
    const float* base = stored.pair(ids[row], 0);
    for (std::uint32_t column = 0; column < row; ++column)
        __builtin_prefetch(base + std::size_t{ids[column]} * stored.areas);
}

void ask_for_ids(const std::uint32_t* ids, std::uint32_t row, const SetSums* sums)
{
    for (std::size_t at = 0; at < row; at += ids_per_line) __builtin_prefetch(ids + at);
    __builtin_prefetch(ids + row);
    __builtin_prefetch(sums, 1);
}

}  // namespace

TWINSCREEN_VECTOR_CLONES
void add_stored_rows(const StoredSimilarities& stored, std::span<const std::uint32_t> sets,
                     std::uint32_t set_size, std::span<const SetRow> rows, SetSums* sums)
{
    alignas(64) std::array<float, largest_set> x;
    alignas(64) std::array<float, largest_set> y;
    const std::size_t areas = stored.areas;
    const std::size_t first = stored.first;
    const std::size_t second = stored.second;
    for (std::size_t at = 0; at < rows.size(); ++at) {
        const SetRow soon = rows[std::min(at + similarities_ahead, rows.size() - 1)];
        ask_for_similarities(stored, sets.data() + std::size_t{soon.set} * set_size, soon.row);
        const SetRow later = rows[std::min(at + ids_ahead, rows.size() - 1)];
        ask_for_ids(sets.data() + std::size_t{later.set} * set_size, later.row, sums + later.set);

        const std::uint32_t row = rows[at].row;
        const std::uint32_t* ids = sets.data() + std::size_t{rows[at].set} * set_size;
        const float* base = stored.pair(ids[row], 0);
        for (std::uint32_t column = 0; column < row; ++column) {
            const float* pair = base + std::size_t{ids[column]} * areas;
            x[column] = pair[first];
            y[column] = pair[second];
        }
        SetSums& set = sums[rows[at].set];
        if (row == 1) set = {{}, {x[0], y[0]}};
        set.sums = set.sums + row_sums(x.data(), y.data(), row, set.origin);
    }
}

TWINSCREEN_VECTOR_CLONES
PairSums set_sums(const float* x, const float* y, std::uint32_t set_size, std::uint32_t stride)
{
    alignas(64) std::array<float, largest_set> row_x;
    alignas(64) std::array<float, largest_set> row_y;
    const PairOrigin origin{x[stride], y[stride]};
    PairSums sums;
    for (std::uint32_t row = 1; row < set_size; ++row) {
        const std::size_t at = std::size_t{row} * stride;
        std::copy_n(x + at, row, row_x.begin());
        std::copy_n(y + at, row, row_y.begin());
        sums = sums + row_sums(row_x.data(), row_y.data(), row, origin);
    }
    return sums;
}

}  // namespace twinscreen
