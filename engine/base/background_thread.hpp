#pragma once

namespace twinscreen {

/// Makes the calling thread give way to those that compute. A reader or writer that wakes up on the
/// core of a computing thread would otherwise interrupt it for a whole batch; with as many readers
/// as cores this slows a run that is bound by computing by some per cent, while one that is bound
/// by reading leaves the cores to the readers anyway. Where the system refuses, nothing changes.
void give_way() noexcept;

}  // namespace twinscreen
