#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>

#include "engine/base/error.hpp"

namespace twinscreen {

/// Runs `work` in a forked child and returns the bytes that it returns. For reading untrusted
/// files with libraries that may crash or hang on them.
///
/// An Error thrown by `work` is thrown again here. A child that crashes, that is still busy after
/// `limit`, that wants more than 4 GiB of memory beyond what it shares, or that answers with more
/// than 64 MiB is ended and gives an Error of the kind `damage` that says so, starting with
/// `subject` ("results/responses.h5"). Work without a limit may set itself one for each step with
/// setitimer(ITIMER_REAL). Independent; `work` must not use MPI or wait for other threads.
std::string run_in_child(const std::string& subject, std::optional<std::chrono::milliseconds> limit,
                         const std::function<std::string()>& work,
                         Error::Kind damage = Error::Kind::store);

}  // namespace twinscreen
