# Three small helpers: one static library per folder, one test binary per folder, and programs.
#
#   cloister_library(protocols_secagg SOURCES a.cc b.cc DEPS cloister::protocols_crypto)  -> cloister::protocols_secagg
#   cloister_test(protocols_secagg_test SOURCES a_test.cc DEPS cloister::protocols_secagg)
#   cloister_program(cloister-site SOURCES main.cc DEPS cloister::site_agent_agent)

function(cloister_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS;PRIVATE_DEPS" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  add_library(cloister::${name} ALIAS ${name})
  target_link_libraries(${name} PUBLIC ${ARG_DEPS} PRIVATE cloister_compiler ${ARG_PRIVATE_DEPS})
  target_include_directories(${name} PUBLIC ${CMAKE_SOURCE_DIR})
endfunction()

function(cloister_program name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE cloister_compiler ${ARG_DEPS})
  install(TARGETS ${name} RUNTIME DESTINATION bin)
endfunction()

function(cloister_test name)
  cmake_parse_arguments(ARG "" "TIMEOUT" "SOURCES;DEPS;LABELS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE cloister_compiler ${ARG_DEPS} GTest::gmock GTest::gtest GTest::gtest_main)
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 300)
  endif()
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES TIMEOUT ${ARG_TIMEOUT} LABELS "${ARG_LABELS}")
endfunction()
