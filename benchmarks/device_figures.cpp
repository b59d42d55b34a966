#include "benchmarks/device_figures.hpp"

#include <cstdio>
#include <fstream>

#include "engine/device/gpus.hpp"

namespace twinscreen::bench {

void Figures::add(const std::string& name, const nlohmann::ordered_json& value,
                  const std::string& unit)
{
    fmt::print("{:<44} {} {}\n", name,
               value.is_number_float() ? fmt::format("{:.6g}", value.get<double>()) : value.dump(),
               unit);
    std::fflush(stdout);
    all_[name] = unit.empty() ? value : nlohmann::ordered_json{{"value", value}, {"unit", unit}};
}

void Figures::write(const std::string& file) const { std::ofstream(file) << all_.dump(2) << '\n'; }

std::unique_ptr<Executor> chosen_executor(bool emulated, Figures& figures)
{
    const VisibleGpus gpus = visible_gpus();
    const bool on_gpu = !gpus.names.empty() && !emulated;
    auto executor = on_gpu ? make_gpu_executor(0) : make_emulated_executor();
    figures.add("device", executor->name(), "");
    figures.add("is_gpu", on_gpu, "");
    if (!on_gpu)
        fmt::print("no GPU was used ({}): these are figures of the processor\n",
                   emulated ? "--emulated" : gpus.why_none);
    return executor;
}

}  // namespace twinscreen::bench
