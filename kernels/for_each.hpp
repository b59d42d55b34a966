#pragma once

#include <cstdint>

#include <Kokkos_Core.hpp>

namespace twinscreen {

/// Calls body(0) ... body(count - 1) through Kokkos on the default host execution space and
/// returns when all are done. Bodies are functors marked TWINSCREEN_FUNCTION that write disjoint
/// memory.
///
/// Several threads may call it at once where that space is Serial: a RangePolicy then runs as a
/// plain loop in the calling thread and touches no state shared between threads (read in Kokkos
/// 3.4: no lock, no pool, tracking of views is per thread).
template <class Body>
void for_each_index(std::int64_t count, const Body& body)
{
    using Space = Kokkos::DefaultHostExecutionSpace;
    using Policy = Kokkos::RangePolicy<Space, Kokkos::IndexType<std::int64_t>>;
    Kokkos::parallel_for(Policy(0, count), body);
    Space().fence();
}

}  // namespace twinscreen
