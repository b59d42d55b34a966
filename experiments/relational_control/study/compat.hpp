#pragma once

namespace twinscreen {

/// Where the published procedure does something that looks unintended: do as it does, or do what
/// was meant. What differs stands where it is done.
enum class Compat { corrected, reference };

}  // namespace twinscreen
