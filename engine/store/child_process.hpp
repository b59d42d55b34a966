#pragma once

#include <chrono>
#include <functional>
#include <string>

namespace twinscreen {

/// Runs `work` in a forked child and returns the bytes that it returns. For reading untrusted
/// files with libraries that may crash or hang on them.
///
/// An Error thrown by `work` is thrown again here. A child that crashes, or that is still busy
/// after `limit`, is ended and gives Error(store) that says so, starting with `subject`
/// ("results/responses.h5"). Independent; `work` must not use MPI or wait for other threads.
std::string run_in_child(const std::string& subject, std::chrono::milliseconds limit,
                         const std::function<std::string()>& work);

}  // namespace twinscreen
