#pragma once

namespace twinscreen {

/// Threads that one rank may use for reading beside computing: the cores that it may run on,
/// shared with the other ranks of the node where these run on the same ones; 1 to 8.
///
/// node_ranks  ranks on this node
int default_reader_threads(int node_ranks);

}  // namespace twinscreen
