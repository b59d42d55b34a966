#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/stimulus/source.hpp"
#include "engine/twin/twin.hpp"

namespace twinscreen::test {

/// A twin whose arithmetic fits in the head: the tap is the input itself (4 grey pixels), unit u
/// responds with (u + 1) * sum of pixels, or with its square where `linear` is false.
struct FakeTwinOptions {
    std::string name = "fake";
    std::string backbone = "shared";  ///< twins with the same text share a backbone
    std::size_t units = 3;
    std::vector<std::string> areas;  ///< per unit; empty: all "V1"
    bool linear = true;
    std::int64_t compute_batch = 2;
    std::vector<Axis> covariates;  ///< added to every response (sum of values)
};
Twin make_fake_twin(const FakeTwinOptions& options);

/// Forward calls of all fake backbones so far.
std::int64_t forward_calls();

/// `count` pictures of 2x2 pixels: item i has the grey value i mod 256 everywhere. Items listed as
/// bad throw Error(data). Column "value" [grey level] holds i as a number.
std::unique_ptr<StimulusSource> make_fake_source(std::uint64_t count,
                                                 std::vector<std::uint64_t> bad = {});

}  // namespace twinscreen::test
