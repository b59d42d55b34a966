#pragma once

#include <memory>
#include <string>

#include <nlohmann/json.hpp>

#include "engine/device/executor.hpp"

namespace twinscreen::bench {

/// Figures of one device: what is printed is what is written.
class Figures {
public:
    void add(const std::string& name, const nlohmann::ordered_json& value, const std::string& unit);
    void add_part(const std::string& name, const Figures& part) { all_[name] = part.all_; }
    void write(const std::string& file) const;

private:
    nlohmann::ordered_json all_;
};

/// The first GPU where one is visible, else the emulated device; which one is a figure, and said.
std::unique_ptr<Executor> chosen_executor(bool emulated, Figures& figures);

}  // namespace twinscreen::bench
