#include "engine/base/error.hpp"
#include "engine/config/csv.hpp"
#include "engine/config/row_filter.hpp"
#include "tests/fuzz/input_file.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    using namespace twinscreen;
    static const fuzz::InputFolder folder;
    try {
        const Table table = read_csv(folder.write("units.csv", fuzz::input(data, size)));
        static_cast<void>(filter_rows(table, "area == 'V1' and heldout_r > 0.3"));
    } catch (const Error&) {  // what a bad table has to give
    }
    return 0;
}
