#pragma once

#define INFINITY __builtin_inff()
#define isinf(x) __builtin_isinf(x)
