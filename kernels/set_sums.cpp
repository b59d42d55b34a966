#include "kernels/set_sums.hpp"

#include "kernels/launch.hpp"

namespace twinscreen {
namespace {

template <class Lookup>
void score(const Lookup& lookup, const SetColumns& sets, bool aligns, double* sums,
           const SetCosts& costs, Executor& executor)
{
    const std::int64_t rows = sets.count * (sets.set_size - 1);
    TWINSCREEN_REQUIRE(rows <= std::int64_t{1} << 31U, internal, "{} rows of pairs at once", rows);
    launch(executor, rows,
           SumRows<Lookup>{lookup, static_cast<std::uint32_t>(sets.count), sets.set_size, sums});
    launch(executor, sets.count, ScoreSums{sums, sets.count, sets.set_size, aligns, costs});
}

}  // namespace

void score_from_pairs(const PairValue* pairs, const SetColumns& sets, bool aligns,
                      const SumRoom& room, const SetCosts& costs, Executor& executor)
{
    score(StoredLookup{pairs, sets}, sets, aligns, room.sums, costs, executor);
}

void score_from_patterns(const AreaPatterns& areas, const SetColumns& sets, bool aligns,
                         const SumRoom& room, const SetCosts& costs, Executor& executor)
{
    const std::uint32_t blocks = (sets.set_size + items_of_tile - 1) / items_of_tile;
    const std::uint32_t tiles = blocks * (blocks + 1) / 2;
    launch(executor, sets.count * tiles,
           MultiplyTiles{sets, areas.parts, areas.first_parts, areas.all_parts, tiles,
                         &room.products->x});
    score(ProductLookup{room.products, sets.count}, sets, aligns, room.sums, costs, executor);
}

}  // namespace twinscreen
