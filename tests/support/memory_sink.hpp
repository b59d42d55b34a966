#pragma once

#include <memory>
#include <vector>

#include "engine/store/sink.hpp"

namespace twinscreen::test {

/// Results of one stage in memory, for tests of what writes through a sink. Everything happens in
/// the calling thread, so errors and `done` come at once. One process.
std::unique_ptr<ResultSink> make_memory_sink(const Plan& plan, std::vector<ColumnSpec> columns);

/// The same on what an earlier sink holds (a sink of `make_memory_sink`), as after a restart.
std::unique_ptr<ResultSink> reopen_memory_sink(const ResultSink& earlier);

/// The row of a stage column, as the summary left it.
OwnedBatch summary_of(const ResultSink& sink, ColumnId column);

}  // namespace twinscreen::test
