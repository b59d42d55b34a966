#include "engine/twin/strict_json.hpp"

#include <set>
#include <vector>

#include "engine/base/error.hpp"

namespace twinscreen {

using Json = nlohmann::json;

Json parse_strict_json(const std::string& who, std::string_view text, const JsonLimits& limits)
{
    std::vector<std::set<std::string>> keys;
    std::string twice;
    const auto watch = [&](int depth, Json::parse_event_t event, Json& value) {
        TWINSCREEN_REQUIRE(depth <= static_cast<int>(limits.depth), data,
                           "{} is nested more than {} deep", who, limits.depth);
        if (event == Json::parse_event_t::object_start) keys.emplace_back();
        if (event == Json::parse_event_t::object_end && !keys.empty()) keys.pop_back();
        if (event == Json::parse_event_t::key && !keys.empty() &&
            !keys.back().insert(value.get<std::string>()).second)
            twice = value.get<std::string>();
        TWINSCREEN_REQUIRE(keys.empty() || keys.front().size() <= limits.entries, data,
                           "{} names more than {} {}", who, limits.entries, limits.entry_name);
        return true;
    };
    Json document;
    try {
        document = Json::parse(text.begin(), text.end(), watch);
    } catch (const Json::exception& problem) {
        throw Error(Error::Kind::data, fmt::format("{} is not JSON ({})", who, problem.what()));
    }
    TWINSCREEN_REQUIRE(twice.empty(), data, "{} names '{}' twice", who, twice);
    TWINSCREEN_REQUIRE(document.is_object(), data, "{} is not a JSON object", who);
    return document;
}

}  // namespace twinscreen
