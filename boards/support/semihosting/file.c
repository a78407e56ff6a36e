/* Files by semihosting. */
#include "lam_port_file.h"
#include "lam_semihosting.h"

/* The modes of fopen, numbered: "rb" and "wb". */
#define OPEN_RB 1u
#define OPEN_WB 5u

int32_t lam_file_open(const char *name, enum lam_file_mode mode)
{
    uint32_t length = 0;
    while (name[length] != '\0') {
        length++;
    }
    const uint32_t arguments[3] = {(uint32_t)name, mode == LAM_FILE_READ ? OPEN_RB : OPEN_WB, length};
    return lam_semihosting(LAM_SYS_OPEN, arguments);
}

int32_t lam_file_read(int32_t file, void *to, uint32_t n)
{
    const uint32_t arguments[3] = {(uint32_t)file, (uint32_t)to, n};
    int32_t missing = lam_semihosting(LAM_SYS_READ, arguments);
    return missing < 0 ? missing : (int32_t)n - missing;
}

int32_t lam_file_write(int32_t file, const void *from, uint32_t n)
{
    const uint32_t arguments[3] = {(uint32_t)file, (uint32_t)from, n};
    return lam_semihosting(LAM_SYS_WRITE, arguments) == 0 ? 0 : -1;
}

void lam_file_close(int32_t file)
{
    const uint32_t arguments[1] = {(uint32_t)file};
    (void)lam_semihosting(LAM_SYS_CLOSE, arguments);
}
