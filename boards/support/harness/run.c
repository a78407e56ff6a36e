/* The program around a model: see lam_harness.h. Neither the C library's streams nor allocation: it shares 16 KB of RAM
 * with the arena. */
#include "lam_harness.h"

#include "lam_port.h"
#include "lam_port_file.h"
#include "lam_stack.h"

/* Painting the stack takes time, and the depth of a call does not depend on its data but in odd cases. */
#define SAMPLES_WITH_PAINTED_STACK 3u

static uint64_t lam_harness_ticks;

__attribute__((weak)) int lam_harness_begin(void)
{
    return 0;
}

static int lam_harness_timed(void)
{
    uint32_t start = lam_port_time();
    int status = lam_harness_invoke();
    lam_harness_ticks += lam_port_time() - start;
    return status;
}

static int lam_harness_fail(const char *text)
{
    lam_port_write("harness: ");
    lam_port_write(text);
    lam_port_write("\n");
    return 1;
}

static void lam_harness_hexadecimal(char *digits, uint32_t n, uint64_t value)
{
    while (n > 0) {
        digits[--n] = "0123456789abcdef"[value & 15u];
        value >>= 4;
    }
}

/* Writes "name hexadecimal\n". */
static int32_t lam_harness_status(int32_t file, const char *name, uint64_t value)
{
    char line[] = " 0000000000000000\n";
    uint32_t n = 0;
    while (name[n] != '\0') {
        n++;
    }
    lam_harness_hexadecimal(line + 1, 16, value);
    return lam_file_write(file, name, n) | lam_file_write(file, line, sizeof line - 1);
}

/* 1: all inputs of the next sample lie in the arena; 0: there is none; negative: an error or half a sample. */
static int lam_harness_read(int32_t file)
{
    for (uint32_t i = 0; i < lam_harness_n_inputs; i++) {
        int32_t bytes = (int32_t)lam_harness_inputs[i].bytes;
        int32_t got = lam_file_read(file, lam_harness_arena + lam_harness_inputs[i].offset, (uint32_t)bytes);
        if (got != bytes) {
            return got == 0 && i == 0 ? 0 : -1;
        }
    }
    return 1;
}

#ifdef LAM_TRACE_FILE
static int32_t lam_harness_trace_file;

void lam_trace(uint32_t layer, const void *data, uint32_t bytes)
{
    const uint32_t header[2] = {layer, bytes};
    if ((lam_file_write(lam_harness_trace_file, header, sizeof header) |
         lam_file_write(lam_harness_trace_file, data, bytes)) != 0) {
        lam_port_exit(lam_harness_fail("cannot write lam_trace.bin"));
    }
}
#endif

int main(void)
{
    lam_port_init();
    int32_t input = lam_file_open("lam_input.bin", LAM_FILE_READ);
    int32_t output = lam_file_open("lam_output.bin", LAM_FILE_WRITE);
    int32_t clock = lam_file_open("lam_clock", LAM_FILE_READ);
    if (input < 0 || output < 0) {
        return lam_harness_fail("cannot open lam_input.bin or lam_output.bin");
    }
#ifdef LAM_TRACE_FILE
    lam_harness_trace_file = lam_file_open("lam_trace.bin", LAM_FILE_WRITE);
    if (lam_harness_trace_file < 0) {
        return lam_harness_fail("cannot open lam_trace.bin");
    }
#endif
    if (lam_harness_begin() != 0) {
        return lam_harness_fail("the model cannot begin a stream");
    }
    uint32_t samples = 0, deepest = 0;
    int more;
    while ((more = lam_harness_read(input)) > 0) {
        int status;
#ifdef LAM_TRACE_FILE
        lam_trace(LAM_TRACE_SAMPLE, lam_harness_arena, 0);
#endif
        if (clock >= 0) {
            status = lam_stack_guarded(lam_harness_timed);
        } else if (samples >= SAMPLES_WITH_PAINTED_STACK) {
            status = lam_stack_guarded(lam_harness_invoke);
        } else {
            uint32_t depth;
            status = lam_stack_measure(lam_harness_invoke, &depth);
            deepest = depth > deepest ? depth : deepest;
        }
        if (status == LAM_STACK_OVERFLOW) {
            return lam_harness_fail("the stack ran into the variables");
        }
        if (status != 0) {
            char text[] = "the model returned error 0x00000000";
            lam_harness_hexadecimal(text + sizeof text - 9, 8, (uint32_t)status);
            return lam_harness_fail(text);
        }
        for (uint32_t i = 0; i < lam_harness_n_outputs; i++) {
            const lam_harness_io *y = &lam_harness_outputs[i];
            if (lam_file_write(output, lam_harness_arena + y->offset, y->bytes) != 0) {
                return lam_harness_fail("cannot write lam_output.bin");
            }
        }
        samples++;
    }
    if (more < 0) {
        return lam_harness_fail("lam_input.bin does not hold whole samples");
    }
#ifdef LAM_TRACE_FILE
    lam_file_close(lam_harness_trace_file);
#endif
    lam_file_close(output);
    int32_t file = lam_file_open("lam_status.txt", LAM_FILE_WRITE);
    if (file < 0 || (lam_harness_status(file, "samples", samples) | lam_harness_status(file, "stack", deepest) |
                     lam_harness_status(file, "ticks", lam_harness_ticks)) != 0) {
        return lam_harness_fail("cannot write lam_status.txt");
    }
    lam_file_close(file);
    return 0;
}
