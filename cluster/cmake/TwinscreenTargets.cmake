# twinscreen_add_library(NAME SOURCES ... HEADERS ... LINK ... PRIVATE_LINK ...)
# One library per folder: target twinscreen_<NAME>, alias twinscreen::<NAME>. The include path is
# the file path from the root of the repository.
function(twinscreen_add_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;HEADERS;LINK;PRIVATE_LINK" ${ARGN})
  set(target twinscreen_${name})
  if(ARG_SOURCES)
    add_library(${target} STATIC ${ARG_SOURCES})
    target_link_libraries(${target} PUBLIC ${ARG_LINK} PRIVATE ${ARG_PRIVATE_LINK} twinscreen_warnings)
    target_include_directories(${target} PUBLIC ${PROJECT_SOURCE_DIR})
    target_sources(${target} PUBLIC FILE_SET HEADERS BASE_DIRS ${PROJECT_SOURCE_DIR} FILES ${ARG_HEADERS})
  else()
    add_library(${target} INTERFACE)
    target_link_libraries(${target} INTERFACE ${ARG_LINK})
    target_include_directories(${target} INTERFACE ${PROJECT_SOURCE_DIR})
    target_sources(${target} INTERFACE FILE_SET HEADERS BASE_DIRS ${PROJECT_SOURCE_DIR} FILES ${ARG_HEADERS})
  endif()
  add_library(twinscreen::${name} ALIAS ${target})
endfunction()

# nvcc writes code for the host compiler that is not pedantic, with its own line marks.
add_library(twinscreen_warnings INTERFACE)
target_compile_options(twinscreen_warnings INTERFACE
  $<$<NOT:$<COMPILE_LANGUAGE:CUDA>>:-Wall;-Wextra;-Wpedantic;-Wconversion;-Wshadow>
  $<$<COMPILE_LANGUAGE:CUDA>:-Xcompiler=-Wall,-Wextra,-Wshadow>
  $<$<AND:$<BOOL:${TWINSCREEN_WARNINGS_AS_ERRORS}>,$<NOT:$<COMPILE_LANGUAGE:CUDA>>>:-Werror>
  $<$<AND:$<BOOL:${TWINSCREEN_WARNINGS_AS_ERRORS}>,$<COMPILE_LANGUAGE:CUDA>>:-Werror=all-warnings>)

# twinscreen_add_test(name SOURCES ... LINK ... [NP 1 2 4] [LABELS ...] [TIMEOUT seconds])
# A GoogleTest program. Without NP it runs as a plain process; with NP it runs under mpiexec on
# each of the given numbers of ranks. Programs with NP bring their own main (tests/support).
function(twinscreen_add_test name)
  cmake_parse_arguments(ARG "" "TIMEOUT" "SOURCES;LINK;NP;LABELS" ${ARGN})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 120)
  endif()
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ${ARG_LINK} twinscreen::test_support GTest::gmock
    twinscreen_warnings)
  if(ARG_NP)
    target_link_libraries(${name} PRIVATE twinscreen::test_mpi_main)
    foreach(ranks IN LISTS ARG_NP)
      set(test ${name}.np${ranks})
      add_test(NAME ${test} COMMAND ${MPIEXEC_EXECUTABLE} ${MPIEXEC_NUMPROC_FLAG} ${ranks}
        ${TWINSCREEN_MPIEXEC_FLAGS} $<TARGET_FILE:${name}>)
      set_tests_properties(${test} PROPERTIES PROCESSORS ${ranks})
      twinscreen_set_test_properties(${test})
      # Open MPI leaves memory behind at exit; what we leak shows in the plain processes.
      set_property(TEST ${test} APPEND PROPERTY ENVIRONMENT ASAN_OPTIONS=detect_leaks=0)
    endforeach()
  else()
    target_link_libraries(${name} PRIVATE GTest::gtest_main)
    add_test(NAME ${name} COMMAND ${name})
    twinscreen_set_test_properties(${name})
  endif()
  twinscreen_add_to_labels(${name})
endfunction()

# twinscreen_add_script_test(name SCRIPT file [ARGS ...] [LABELS ...] [TIMEOUT seconds])
# A Python script that tries the real executable; exit code 77 means skipped, with the reason on
# its last line.
function(twinscreen_add_script_test name)
  cmake_parse_arguments(ARG "" "TIMEOUT;SCRIPT;PROCESSORS" "ARGS;LABELS" ${ARGN})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 300)
  endif()
  if(NOT ARG_PROCESSORS)
    set(ARG_PROCESSORS 2)
  endif()
  add_test(NAME ${name} COMMAND ${TWINSCREEN_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/${ARG_SCRIPT}
    ${ARG_ARGS})
  twinscreen_set_test_properties(${name})
  set_tests_properties(${name} PROPERTIES PROCESSORS ${ARG_PROCESSORS} SKIP_RETURN_CODE 77)
  twinscreen_add_to_labels(twinscreen twinscreen_with_failpoints twinscreen_failing_io)
endfunction()

# twinscreen_add_fuzzer(name LINK ... [SOURCES ...] [MUTATOR file])
# A subject of tests/fuzz: <name>_fuzz.cpp holds LLVMFuzzerTestOneInput, corpus/<name> its inputs.
# The fuzz preset makes a libFuzzer program of it; a build with tests replays every file of the
# corpus. SOURCES are further files beside it; MUTATOR holds LLVMFuzzerCustomMutator for libFuzzer.
function(twinscreen_add_fuzzer name)
  cmake_parse_arguments(ARG "" "MUTATOR" "SOURCES;LINK" ${ARGN})
  set(ARG_LABELS unit)
  set(ARG_TIMEOUT 120)
  set(program fuzz_${name})
  add_executable(${program} ${name}_fuzz.cpp ${ARG_SOURCES})
  target_link_libraries(${program} PRIVATE ${ARG_LINK} twinscreen::fuzz_input twinscreen_warnings)
  if(TWINSCREEN_BUILD_FUZZERS)
    target_sources(${program} PRIVATE ${ARG_MUTATOR})
    target_link_options(${program} PRIVATE -fsanitize=fuzzer)
    set_target_properties(${program} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/fuzzers)
    add_dependencies(fuzzers ${program})
  else()
    target_sources(${program} PRIVATE replay_main.cpp)
    add_test(NAME ${program} COMMAND ${program} ${CMAKE_CURRENT_SOURCE_DIR}/corpus/${name})
    twinscreen_set_test_properties(${program})
    twinscreen_add_to_labels(${program})
  endif()
endfunction()

# For each label, tests_<label> builds what its tests need.
macro(twinscreen_add_to_labels)
  foreach(label IN LISTS ARG_LABELS)
    if(NOT TARGET tests_${label})
      add_custom_target(tests_${label})
    endif()
    add_dependencies(tests_${label} ${ARGN})
  endforeach()
endmacro()

macro(twinscreen_set_test_properties test)
  if(CMAKE_CXX_FLAGS MATCHES -fsanitize) # everything takes many times as long
    math(EXPR ARG_TIMEOUT "10 * ${ARG_TIMEOUT}")
  endif()
  set_tests_properties(${test} PROPERTIES TIMEOUT ${ARG_TIMEOUT} LABELS "${ARG_LABELS}"
    SKIP_REGULAR_EXPRESSION "\\[  SKIPPED \\]"
    ENVIRONMENT "${TWINSCREEN_TEST_ENVIRONMENT}")
  if(CMAKE_CXX_FLAGS MATCHES -fsanitize)
    set_property(TEST ${test} APPEND PROPERTY ENVIRONMENT TWINSCREEN_SANITIZED=1)
  endif()
endmacro()
