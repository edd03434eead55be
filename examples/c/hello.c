#include <stdio.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    printf("hello %s, from process %d of user %d\n", argc > 1 ? argv[1] : "there", getpid(), getuid());
    return 0;
}
