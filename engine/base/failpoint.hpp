#pragma once

/// A named step at which a test build can be killed or held; nothing in the program that people
/// run. The name is a literal that occurs once, so that a test can list all of them.
#ifdef TWINSCREEN_FAILPOINTS
namespace twinscreen {
void reach_failpoint(const char* name) noexcept;
}
#define TWINSCREEN_FAILPOINT(name) ::twinscreen::reach_failpoint(name)
#else
#define TWINSCREEN_FAILPOINT(name) static_cast<void>(0)
#endif
