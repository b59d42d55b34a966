#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "engine/run/campaign.hpp"

namespace twinscreen::bench {

/// Wall time of `work` [s].
double seconds_of(const std::function<void()>& work);

/// CPU time of all threads of this process so far [s].
double cpu_seconds();

struct Summary {
    double median = 0.0;
    double smallest = 0.0;
    double largest = 0.0;
};
Summary summary_of(std::vector<double> values);

/// What a metric has to reach; `none` is reported without a verdict.
struct Target {
    enum class Kind { none, at_least, at_most };
    Kind kind = Kind::none;
    double bound = 0.0;

    std::string text() const;
    bool is_met(double value) const noexcept;
};
Target at_least(double bound);
Target at_most(double bound);

struct Metric {
    std::string benchmark;
    std::string case_name;
    std::string name;
    std::string unit;
    Summary value;
    Target target;
};

/// One JSON object on one line of stdout, as benchmarks/run.sh promises: the median is the value.
void report(const Metric& metric, const nlohmann::ordered_json& facts);

/// A new folder below TMPDIR (else /tmp), removed with everything in it at the end.
class ScratchFolder {
public:
    ScratchFolder();
    ~ScratchFolder();
    ScratchFolder(const ScratchFolder&) = delete;
    ScratchFolder& operator=(const ScratchFolder&) = delete;
    const std::filesystem::path& path() const noexcept { return path_; }

private:
    std::filesystem::path path_;
};

/// The exit code of a program that does `work`: 1 after an exception, whose message goes to stderr.
int exit_code_of(const std::function<void()>& work);

/// A campaign from its text, checked like a file.
Campaign campaign_of(const std::string& text);

/// Cores that this process may use.
int usable_cores();

}  // namespace twinscreen::bench
