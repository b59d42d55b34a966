#pragma once

namespace twinscreen {

/// Commented campaigns that run as they are, for `twinscreen init`.
extern const char* const screen_example;
extern const char* const encoding_score_example;
extern const char* const fit_readout_example;
extern const char* const relational_control_example;
extern const char* const control_session_example;
extern const char* const control_accuracy_example;

}  // namespace twinscreen
