# Compiles for 64-bit Android with the system's clang and lld instead of the NDK (README.md).
if(NOT ANDROID_ABI)
  set(ANDROID_ABI arm64-v8a)
endif()
if(ANDROID_ABI STREQUAL "arm64-v8a")
  set(CMAKE_SYSTEM_PROCESSOR aarch64)
  set(MORE_FLAGS "-mno-outline-atomics")  # those lie in the NDK's compiler-rt
elseif(ANDROID_ABI STREQUAL "x86_64")
  set(CMAKE_SYSTEM_PROCESSOR x86_64)
else()
  message(FATAL_ERROR "ANDROID_ABI is ${ANDROID_ABI}; this builds for arm64-v8a and x86_64.")
endif()
set(CMAKE_TRY_COMPILE_PLATFORM_VARIABLES ANDROID_ABI)

# "Android" here would make CMake ask for an NDK.
set(CMAKE_SYSTEM_NAME Linux)
set(ANDROID TRUE)
set(CMAKE_HAVE_LIBC_PTHREAD TRUE)  # bionic's libc holds the threads

set(CMAKE_CXX_COMPILER clang++)
set(CMAKE_CXX_COMPILER_TARGET ${CMAKE_SYSTEM_PROCESSOR}-linux-android24)
set(CMAKE_CXX_FLAGS_INIT
    "-nostdlibinc -isystem \"${CMAKE_CURRENT_LIST_DIR}/include\" ${MORE_FLAGS}")

# Programs cannot be tried out: there is no start-up code for them.
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)
set(CLANG clang --target=${CMAKE_CXX_COMPILER_TARGET} -fPIC -fno-builtin)
execute_process(
  COMMAND ${CLANG} -c ${CMAKE_CURRENT_LIST_DIR}/compiler_rt.c -o ${CMAKE_BINARY_DIR}/compiler_rt.o
  COMMAND_ERROR_IS_FATAL ANY)
execute_process(
  COMMAND ${CLANG} -fuse-ld=lld -nostdlib -shared -Wl,-soname,libc.so
          ${CMAKE_CURRENT_LIST_DIR}/libc.c -o ${CMAKE_BINARY_DIR}/libc.so
  COMMAND_ERROR_IS_FATAL ANY)
set(CMAKE_SHARED_LINKER_FLAGS_INIT "-fuse-ld=lld -nostdlib -Wl,--no-undefined")
set(CMAKE_CXX_STANDARD_LIBRARIES
    "\"${CMAKE_BINARY_DIR}/compiler_rt.o\" \"${CMAKE_BINARY_DIR}/libc.so\"")
