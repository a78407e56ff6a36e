/* Files by the C library. */
#include "lam_port_file.h"

#include <stdio.h>

#define N_FILES 8

static FILE *lam_files[N_FILES];

int32_t lam_file_open(const char *name, enum lam_file_mode mode)
{
    for (int32_t i = 0; i < N_FILES; i++) {
        if (lam_files[i] == NULL) {
            lam_files[i] = fopen(name, mode == LAM_FILE_READ ? "rb" : "wb");
            return lam_files[i] != NULL ? i : -1;
        }
    }
    return -1;
}

int32_t lam_file_read(int32_t file, void *to, uint32_t n)
{
    size_t got = fread(to, 1, n, lam_files[file]);
    return ferror(lam_files[file]) != 0 ? -1 : (int32_t)got;
}

int32_t lam_file_write(int32_t file, const void *from, uint32_t n)
{
    return fwrite(from, 1, n, lam_files[file]) == n ? 0 : -1;
}

void lam_file_close(int32_t file)
{
    (void)fclose(lam_files[file]);
    lam_files[file] = NULL;
}
