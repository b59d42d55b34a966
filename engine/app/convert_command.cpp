#include <iostream>

#include "engine/app/commands.hpp"
#include "engine/base/error.hpp"
#include "engine/stimulus/hdf5_dataset.hpp"

namespace twinscreen {

int convert_command(const std::string& array, const std::filesystem::path& out)
{
    std::string file;
    std::string dataset;
    TWINSCREEN_REQUIRE(split_hdf5_path(array, file, dataset), config,
                       "'{}' does not name an array (expected FILE.h5:/dataset)", array);
    TWINSCREEN_REQUIRE(!std::filesystem::exists(out), store,
                       "{} exists already (remove it, or give another name)", out.string());
    convert_hdf5_to_npy(file, dataset, out);
    std::cout << "wrote " << out.string() << "; in a campaign:\n  [[stimuli]]\n  npy = \""
              << out.string() << "\"\n";
    return 0;
}

}  // namespace twinscreen
