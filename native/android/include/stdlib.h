#pragma once
#include <stddef.h>

extern "C" {
void* malloc(size_t);
void* realloc(void*, size_t);
void free(void*);
int posix_memalign(void**, size_t, size_t);
char* getenv(const char*);
long strtol(const char*, char**, int);
}
