#pragma once

#define SIG_SETMASK 2
typedef struct {
  unsigned long bits[1];
} sigset_t;

extern "C" int sigfillset(sigset_t*);
