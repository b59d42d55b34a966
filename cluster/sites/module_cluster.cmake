# A cluster whose compilers and libraries come as modules. Untried on one.
#   module load gcc openmpi hdf5/…-mpi kokkos cmake ninja
#   cluster/quickstart.sh --fetch-only
#   cmake -C cluster/sites/module_cluster.cmake --preset release && cmake --build build/release
set(CMAKE_C_COMPILER gcc CACHE FILEPATH "")
set(CMAKE_CXX_COMPILER g++ CACHE FILEPATH "") # 12 or later
set(MPI_C_COMPILER mpicc CACHE FILEPATH "")
set(TWINSCREEN_HDF5_MODULES hdf5 CACHE STRING "") # pkg-config's, else CMake looks for h5pcc
