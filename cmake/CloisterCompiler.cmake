# Compiler settings of every target of ours: C++17, warnings as errors, ccache when present, hardening, sanitizers.

set(CMAKE_CXX_STANDARD 17)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()

find_program(CCACHE ccache)
if(CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE})
  set(CMAKE_C_COMPILER_LAUNCHER ${CCACHE})
endif()

add_library(cloister_compiler INTERFACE)
target_compile_options(cloister_compiler INTERFACE -Wall -Wextra -Werror -Wnon-virtual-dtor -Woverloaded-virtual
  -fstack-protector-strong -fno-math-errno -fno-trapping-math)
target_include_directories(cloister_compiler INTERFACE ${CMAKE_SOURCE_DIR} ${CMAKE_BINARY_DIR})

if(CLOISTER_SANITIZE)
  # GCC sees uninitialized members in instrumented std::variant code where there are none.
  add_compile_options(-Wno-maybe-uninitialized)
  add_compile_options(-fsanitize=${CLOISTER_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all -g1)
  add_link_options(-fsanitize=${CLOISTER_SANITIZE})
endif()
