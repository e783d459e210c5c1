#pragma once

extern "C" int getpid(void);
