# Debian's Kokkos configuration names an include folder that does not exist; then the two facts it
# gets wrong are given by hand. A site's own Kokkos (4.x) is taken as it is.
add_library(twinscreen_kokkos INTERFACE)
find_path(TWINSCREEN_DEBIAN_KOKKOS Kokkos_Core.hpp PATHS
  /usr/include/trilinos $ENV{TWINSCREEN_PACKAGES}/usr/include/trilinos NO_DEFAULT_PATH)
find_library(TWINSCREEN_DEBIAN_KOKKOS_CORE trilinos_kokkoscore)
if(TWINSCREEN_DEBIAN_KOKKOS AND TWINSCREEN_DEBIAN_KOKKOS_CORE AND NOT Kokkos_ROOT)
  target_include_directories(twinscreen_kokkos SYSTEM INTERFACE ${TWINSCREEN_DEBIAN_KOKKOS})
  target_link_libraries(twinscreen_kokkos INTERFACE ${TWINSCREEN_DEBIAN_KOKKOS_CORE} dl)
else()
  find_package(Kokkos QUIET)
  twinscreen_require(Kokkos::kokkos libtrilinos-kokkos-dev)
  target_link_libraries(twinscreen_kokkos INTERFACE Kokkos::kokkos)
endif()
add_library(twinscreen::kokkos ALIAS twinscreen_kokkos)
