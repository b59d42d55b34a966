#pragma once

#include <spdlog/spdlog.h>

namespace twinscreen {

/// Sets the line format "12:31:07 rank 3 warning: ..." on stderr. Rank 0 logs everything from
/// `info`, the other ranks warnings and above. Call once per process.
void start_log(int rank);

}  // namespace twinscreen
