# CUDA and NCCL come together or not at all: option TWINSCREEN_WITH_CUDA. Every source file that needs
# them has a replacement for builds without, which names the option.
#
# twinscreen_device_sources(FILE...): sources that hold kernels; compiled by nvcc where there is CUDA,
# as plain C++ elsewhere. They include no header of engine/: fmt 9 does not pass through nvcc 13.

if(NOT TWINSCREEN_WITH_CUDA)
  function(twinscreen_device_sources)
  endfunction()
  return()
endif()

if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
  set(CMAKE_CUDA_ARCHITECTURES 80 90 CACHE STRING
    "Compute capabilities; newer GPUs run what the newest of them was compiled to")
endif()
if(NOT DEFINED CMAKE_CUDA_COMPILER AND NOT DEFINED ENV{CUDACXX})
  find_program(CMAKE_CUDA_COMPILER nvcc PATHS /usr/local/cuda/bin)
  if(NOT CMAKE_CUDA_COMPILER)
    message(FATAL_ERROR "TWINSCREEN_WITH_CUDA needs the CUDA 13 toolkit and its nvcc was not found. "
      "Set CUDACXX to the compiler, or configure without the option (preset release)")
  endif()
endif()
enable_language(CUDA)
if(CMAKE_CUDA_COMPILER_VERSION VERSION_LESS 13.0)
  message(FATAL_ERROR "TWINSCREEN_WITH_CUDA needs CUDA 13 (LibTorch ${TWINSCREEN_LIBTORCH} is built "
    "with it), ${CMAKE_CUDA_COMPILER} is ${CMAKE_CUDA_COMPILER_VERSION}")
endif()
if(NOT DEFINED CMAKE_CUDA20_STANDARD_COMPILE_OPTION) # CMake 3.25 knows C++17 for nvcc at most
  set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION -std=c++20)
  set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION -std=c++20)
  set(CMAKE_CUDA20_STANDARD__HAS_FULL_SUPPORT ON)
endif()
set(CMAKE_CUDA_STANDARD 20)
set(CMAKE_CUDA_STANDARD_REQUIRED ON)
add_compile_options($<$<COMPILE_LANGUAGE:CUDA>:--expt-relaxed-constexpr>) # std::array in kernels
find_package(CUDAToolkit REQUIRED)

# The NCCL that LibTorch loads, where it came with one: two of them in one process would be one too many.
find_path(TWINSCREEN_NCCL_INCLUDE nccl.h
  HINTS ${TWINSCREEN_LIBTORCH}/../nvidia/nccl/include ${CUDAToolkit_INCLUDE_DIRS})
find_library(TWINSCREEN_NCCL_LIBRARY NAMES nccl libnccl.so.2
  HINTS ${TWINSCREEN_LIBTORCH}/../nvidia/nccl/lib ${CUDAToolkit_LIBRARY_DIR})
if(NOT TWINSCREEN_NCCL_INCLUDE OR NOT TWINSCREEN_NCCL_LIBRARY)
  message(FATAL_ERROR "TWINSCREEN_WITH_CUDA needs NCCL and it was not found. On Debian with NVIDIA's "
    "packages: apt-get install libnccl-dev; or set TWINSCREEN_NCCL_INCLUDE and TWINSCREEN_NCCL_LIBRARY")
endif()
add_library(twinscreen_nccl INTERFACE)
target_include_directories(twinscreen_nccl SYSTEM INTERFACE ${TWINSCREEN_NCCL_INCLUDE})
target_link_libraries(twinscreen_nccl INTERFACE ${TWINSCREEN_NCCL_LIBRARY} CUDA::cudart)
add_library(twinscreen::nccl ALIAS twinscreen_nccl)

# libtorch_cuda.so itself is opened when a job first uses a GPU (engine/twin/torch_device_cuda.cpp):
# the program then starts as fast as without CUDA, and starts where there is none.
if(NOT EXISTS ${TWINSCREEN_LIBTORCH}/lib/libc10_cuda.so)
  message(FATAL_ERROR "TWINSCREEN_WITH_CUDA: ${TWINSCREEN_LIBTORCH}/lib has no libc10_cuda.so; it needs "
    "a LibTorch built with CUDA 13")
endif()
add_library(twinscreen_libtorch_cuda INTERFACE)
target_link_libraries(twinscreen_libtorch_cuda INTERFACE twinscreen::libtorch
  ${TWINSCREEN_LIBTORCH}/lib/libc10_cuda.so CUDA::cudart)
add_library(twinscreen::libtorch_cuda ALIAS twinscreen_libtorch_cuda)

function(twinscreen_device_sources)
  set_source_files_properties(${ARGN} PROPERTIES LANGUAGE CUDA)
endfunction()
