#include "kernels/evolution.hpp"

#include "kernels/launch.hpp"

namespace twinscreen {

void draw_random_sets(const ChainDraws& draws, const RandomSets& which, const SetColumns& sets,
                      std::uint32_t* scratch, Executor& executor)
{
    launch(executor, sets.count, DrawRandomSets{draws, which, sets, scratch});
}

void mutate(const ChainDraws& draws, std::uint32_t generation, const SetColumns& parents,
            const std::uint32_t* sizes, const SetColumns& mutants, std::uint32_t* scratch,
            Executor& executor)
{
    launch(executor, mutants.count,
           DrawMutants{draws, generation, parents, sizes, mutants.count / parents.count, mutants,
                       scratch});
}

void select_survivors(const Pool& pool, bool is_sorted, const SelectionRoom& room,
                      const Survivors& survivors, Executor& executor)
{
    launch(executor, rank_parts * pool.count(), CountBefore{pool, is_sorted, room.before});
    launch(executor, pool.count(), PlaceSurvivors{pool, room.before, room.members, survivors});
    launch(executor, pool.parents.count * pool.parents.set_size,
           CopySurvivors{pool, room.members, survivors});
}

}  // namespace twinscreen
