# A Cray-like machine: the compiler wrappers know MPI, and modules bring HDF5. Untried on one.
#   module load PrgEnv-gnu cray-mpich cray-hdf5-parallel cmake
#   cluster/quickstart.sh --fetch-only
#   cmake -C cluster/sites/cray.cmake --preset release && cmake --build build/release
#   twinscreen submit my_campaign.toml --launcher srun ...
set(CMAKE_C_COMPILER cc CACHE FILEPATH "")
set(CMAKE_CXX_COMPILER CC CACHE FILEPATH "")
set(MPI_C_COMPILER cc CACHE FILEPATH "")
set(MPIEXEC_EXECUTABLE srun CACHE FILEPATH "")
set(MPIEXEC_NUMPROC_FLAG -n CACHE STRING "")
set(TWINSCREEN_MPIEXEC_FLAGS "" CACHE STRING "")
set(TWINSCREEN_HDF5_MODULES hdf5_parallel hdf5 CACHE STRING "")
set(ENV{CRAYPE_LINK_TYPE} dynamic)
