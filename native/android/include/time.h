#pragma once

#define CLOCK_MONOTONIC 1
typedef int clockid_t;
struct timespec {
  long tv_sec;
  long tv_nsec;
};

extern "C" int clock_gettime(clockid_t, struct timespec*);
