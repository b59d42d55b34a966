# Everything that is not ours, as imported targets. A missing package stops the configuration and
# is named with its Debian package.

function(twinscreen_require target package)
  if(NOT TARGET ${target})
    message(FATAL_ERROR "${target} was not found. On Debian: apt-get install ${package} "
      "(cluster/quickstart.sh installs everything)")
  endif()
endfunction()

if(NOT "$ENV{XDG_CACHE_HOME}" STREQUAL "")
  set(TWINSCREEN_CACHE $ENV{XDG_CACHE_HOME}/twinscreen)
else()
  set(TWINSCREEN_CACHE $ENV{HOME}/.cache/twinscreen)
endif()
set(TWINSCREEN_PYTHON ${TWINSCREEN_CACHE}/python/bin/python CACHE FILEPATH
  "Python with numpy, h5py and xarray, for tests and converters")

find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
find_package(fmt QUIET)
twinscreen_require(fmt::fmt libfmt-dev)
find_package(spdlog QUIET)
twinscreen_require(spdlog::spdlog libspdlog-dev)
find_package(CLI11 QUIET)
twinscreen_require(CLI11::CLI11 libcli11-dev)
find_package(nlohmann_json QUIET)
twinscreen_require(nlohmann_json::nlohmann_json nlohmann-json3-dev)
find_package(tomlplusplus QUIET)
twinscreen_require(tomlplusplus::tomlplusplus libtomlplusplus-dev)
if(TWINSCREEN_BUILD_FUZZERS)
  # The parser in our own objects, so that libFuzzer and the sanitizers see into it. Two things of
  # toml++ 3.3 are left out: assertions, which bad TOML trips and the library that other builds link
  # does not have; and the report of a place that letters like "ä" reach although the code says
  # that nothing does (section_test looks at what the linked library makes of them).
  set_target_properties(tomlplusplus::tomlplusplus PROPERTIES INTERFACE_COMPILE_OPTIONS
    "-DTOML_ASSERT(condition)=static_cast<void>(0);-fno-sanitize=unreachable")
endif()
find_package(MPI QUIET COMPONENTS C)
twinscreen_require(MPI::MPI_C libopenmpi-dev)
# The C API only: without these, mpi.h of C++ programs wants the removed C++ bindings.
add_compile_definitions(OMPI_SKIP_MPICXX MPICH_SKIP_MPICXX)
find_package(PNG QUIET)
twinscreen_require(PNG::PNG libpng-dev)
find_package(ZLIB QUIET)
twinscreen_require(ZLIB::ZLIB zlib1g-dev)
pkg_check_modules(TURBOJPEG QUIET IMPORTED_TARGET libturbojpeg)
twinscreen_require(PkgConfig::TURBOJPEG libturbojpeg0-dev)
pkg_check_modules(LIBZIP QUIET IMPORTED_TARGET libzip)
twinscreen_require(PkgConfig::LIBZIP libzip-dev)
pkg_check_modules(XXHASH QUIET IMPORTED_TARGET libxxhash)
twinscreen_require(PkgConfig::XXHASH libxxhash-dev)
find_package(OpenSSL QUIET COMPONENTS Crypto)
twinscreen_require(OpenSSL::Crypto libssl-dev)
find_path(TWINSCREEN_RANDOM123_INCLUDE Random123/philox.h)
if(NOT TWINSCREEN_RANDOM123_INCLUDE)
  message(FATAL_ERROR "Random123 was not found. On Debian: apt-get install librandom123-dev")
endif()

# Parallel HDF5: pkg-config's hdf5-openmpi or hdf5-mpich on Debian, else CMake's own module. It has to
# be built with the MPI that is found above.
set(TWINSCREEN_HDF5_MODULES hdf5-openmpi hdf5-mpich CACHE STRING
  "Names of parallel HDF5 in pkg-config; the first that is there is taken")
pkg_search_module(HDF5_PARALLEL QUIET IMPORTED_TARGET ${TWINSCREEN_HDF5_MODULES})
add_library(twinscreen_hdf5 INTERFACE)
if(TARGET PkgConfig::HDF5_PARALLEL)
  target_link_libraries(twinscreen_hdf5 INTERFACE PkgConfig::HDF5_PARALLEL)
else()
  set(HDF5_PREFER_PARALLEL ON)
  find_package(HDF5 QUIET COMPONENTS C)
  if(NOT HDF5_FOUND OR NOT HDF5_IS_PARALLEL)
    message(FATAL_ERROR "parallel HDF5 was not found. On Debian: apt-get install libhdf5-openmpi-dev")
  endif()
  target_include_directories(twinscreen_hdf5 SYSTEM INTERFACE ${HDF5_INCLUDE_DIRS})
  target_link_libraries(twinscreen_hdf5 INTERFACE ${HDF5_LIBRARIES})
endif()
target_link_libraries(twinscreen_hdf5 INTERFACE MPI::MPI_C)
add_library(twinscreen::hdf5 ALIAS twinscreen_hdf5)

include(TwinscreenKokkos)
include(TwinscreenLibTorch)
