/* Files of the computer that runs the emulator, for the harness. Never part of a product. */
#ifndef LAM_PORT_FILE_H
#define LAM_PORT_FILE_H

#include <stdint.h>

enum lam_file_mode { LAM_FILE_READ = 0, LAM_FILE_WRITE = 1 };

/* A handle, or a negative number. The name is relative to the folder in which the emulator runs. */
int32_t lam_file_open(const char *name, enum lam_file_mode mode);

/* How many of n bytes were read, fewer than n only at the end of the file; negative: an error. */
int32_t lam_file_read(int32_t file, void *to, uint32_t n);

/* 0, or a negative number where not all n bytes were written. */
int32_t lam_file_write(int32_t file, const void *from, uint32_t n);

void lam_file_close(int32_t file);

#endif
