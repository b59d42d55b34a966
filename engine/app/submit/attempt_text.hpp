#pragma once

namespace twinscreen {

/// The shell text behind the head of every job script.
extern const char* const attempt_text;

}  // namespace twinscreen
