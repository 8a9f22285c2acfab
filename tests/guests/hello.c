/* The smallest payload: it prints, checks that one and one are two, and ends. */
#include "tests/guests/kit/kit.h"

void guest_main(void)
{
    print("hello from long mode\n");
    check(1 + 1 == 2, "arithmetic", "1+1=%d", 1 + 1);
    int vector = TRY("ud2", : :);
    check(vector == 6, "ud2", "vector=%d", vector);
}
