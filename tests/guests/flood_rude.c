/* As flood.c, by a guest that never asks whether its bytes can be taken. */
#define RUDE
#include "tests/guests/flood.c"
