#pragma once

#include <array>

#include "experiments/relational_control/session/recorded_session.hpp"
#include "experiments/relational_control/statistics/permutation_test.hpp"
#include "experiments/relational_control/univariate/univariate_null.hpp"

namespace twinscreen {

/// Whether the pictures of a session control the mean responses of real areas (Gifford,
/// Jastrzebowska, Singer & Cichy 2024): mean response in the trials of a condition minus that in
/// the trials of the area's own baseline, against shuffled trials (stream permuted_images).
ControlTests test_mean_control(const RecordedSession& session, const SessionDesign& design,
                               const PermutationBlock& block);

/// Of the aligning and the disentangling pictures.
struct SimilarityControl {
    std::array<double, 3> agreement{};  ///< of the aligning, disentangling and baseline pictures
    std::array<PermutationTest, 2> tests;
};

/// Whether the pictures of a session align or disentangle the similarities of real areas (as
/// above): agreement (RSA) about the pictures of a set, of mean responses over trials, minus that
/// about the baseline pictures, against pictures that are permuted in each area on its own (stream
/// permuted_images).
SimilarityControl test_similarity_control(const RecordedSession& session,
                                          const SessionDesign& design,
                                          const PermutationBlock& block);

}  // namespace twinscreen
