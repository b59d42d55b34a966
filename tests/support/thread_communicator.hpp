#pragma once

#include <functional>

#include "engine/comm/communicator.hpp"

namespace twinscreen::test {

/// Runs `rank_main` on `size` threads, each of which is a rank of one communicator without MPI.
/// Returns when all have returned; then throws the exception of the lowest rank that threw. A rank
/// that throws while others wait for it in a collective leaves them waiting.
void run_as_ranks(int size, const std::function<void(Communicator&)>& rank_main);

}  // namespace twinscreen::test
