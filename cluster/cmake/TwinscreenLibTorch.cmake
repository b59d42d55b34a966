# LibTorch 2.11.0 as the PyPI wheel has it. Its own CMake configuration stops without a CUDA
# toolkit, so the two libraries that a CPU build needs are imported by hand. A site's own LibTorch
# is taken when TWINSCREEN_LIBTORCH names its folder (with include/ and lib/).
set(libtorch_default ${TWINSCREEN_CACHE}/libtorch-2.11.0)
if(DEFINED ENV{TWINSCREEN_LIBTORCH})
  set(libtorch_default $ENV{TWINSCREEN_LIBTORCH})
endif()
set(TWINSCREEN_LIBTORCH ${libtorch_default} CACHE PATH "Folder with LibTorch's include/ and lib/")
if(NOT EXISTS ${TWINSCREEN_LIBTORCH}/lib/libtorch_cpu.so)
  message(FATAL_ERROR "LibTorch was not found in ${TWINSCREEN_LIBTORCH}. "
    "cluster/quickstart.sh --fetch-only puts it there; or set TWINSCREEN_LIBTORCH")
endif()

# PyTorch as pip installs it has a copy of fmt among its headers, which would hide the system's, whose
# library is the one we link: a folder of links to all but it. (cluster/setup unpacks none.)
set(libtorch_include ${TWINSCREEN_LIBTORCH}/include)
if(EXISTS ${libtorch_include}/fmt)
  file(GLOB entries ${libtorch_include}/*)
  list(REMOVE_ITEM entries ${libtorch_include}/fmt)
  set(libtorch_include ${CMAKE_BINARY_DIR}/libtorch_include)
  file(MAKE_DIRECTORY ${libtorch_include})
  foreach(entry IN LISTS entries)
    get_filename_component(name ${entry} NAME)
    file(CREATE_LINK ${entry} ${libtorch_include}/${name} SYMBOLIC)
  endforeach()
endif()

add_library(twinscreen_libtorch INTERFACE)
target_include_directories(twinscreen_libtorch SYSTEM INTERFACE
  ${libtorch_include} ${libtorch_include}/torch/csrc/api/include)
# at::parallel_for is a header: it runs serially in code compiled without OpenMP. The runtime must be
# the one that LibTorch itself uses, or there would be two pools of threads.
# (clang would bring its own: the fuzzers, which run no network, stay serial.)
if(NOT TWINSCREEN_BUILD_FUZZERS)
  target_compile_options(twinscreen_libtorch INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-fopenmp>)
endif()
file(GLOB libtorch_openmp ${TWINSCREEN_LIBTORCH}/lib/libgomp*.so*)
if(libtorch_openmp)
  target_link_libraries(twinscreen_libtorch INTERFACE ${libtorch_openmp})
else()
  find_package(OpenMP REQUIRED)
  target_link_libraries(twinscreen_libtorch INTERFACE OpenMP::OpenMP_CXX)
endif()
# The wheel's libraries find their neighbours (OpenMP, CUDA runtime) only through our RPATH.
target_link_libraries(twinscreen_libtorch INTERFACE
  ${TWINSCREEN_LIBTORCH}/lib/libtorch_cpu.so ${TWINSCREEN_LIBTORCH}/lib/libc10.so)
target_link_options(twinscreen_libtorch INTERFACE
  "LINKER:--disable-new-dtags" "LINKER:-rpath,${TWINSCREEN_LIBTORCH}/lib"
  "LINKER:--allow-shlib-undefined")

# Libraries that AOTInductor compiles name libtorch.so, which holds nothing that they use and in the
# wheel brings all of CUDA along. An empty one of that name, loaded with the program, answers for it;
# it is found relative to the program.
set(libtorch_name ${CMAKE_BINARY_DIR}/libtorch_name)
file(CONFIGURE OUTPUT ${libtorch_name}/empty.cpp CONTENT "// Only its name matters.\n")
add_library(twinscreen_libtorch_name SHARED ${libtorch_name}/empty.cpp)
set_target_properties(twinscreen_libtorch_name PROPERTIES
  OUTPUT_NAME torch LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR})
target_link_libraries(twinscreen_libtorch INTERFACE twinscreen_libtorch_name)
set(CMAKE_BUILD_RPATH_USE_ORIGIN ON)
add_library(twinscreen::libtorch ALIAS twinscreen_libtorch)
