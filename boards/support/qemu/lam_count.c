/* A QEMU plugin that counts the instructions of one function of the emulated program, callees included.
 *
 * Arguments: map=FILE  one line per function: role, first address, bytes (hexadecimal). Roles: e the function that is
 *                      counted, o further parts of it that the compiler split off, s a function at which control
 *                      arrives when it has returned, f any other.
 *            out=FILE  written: for each call one line "call TOTAL SEGMENT SEGMENT ..", without segments where
 *                      there are more than MAX_SEGMENTS; at the end for each function that was executed
 *                      "function INDEX COUNT", where INDEX is its line in the map.
 *            by=instruction  counts one by one, for a check; otherwise by translated block.
 *
 * A segment ends each time control comes back into the counted function from a callee. What the function does after its
 * last callee belongs to the last segment.
 *
 * Debian's QEMU loads plugins but comes without their header, so the few functions that are used are declared here, as
 * they are in version 1 of the interface. They are of the oldest and simplest kind, so that later versions may be tried:
 * QEMU refuses a plugin of a version it no longer serves, and then the clock counts. */
#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef LAM_PLUGIN_VERSION
#define LAM_PLUGIN_VERSION 1
#endif

/* --- QEMU's interface --- */

typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
typedef void qemu_tb_translated(qemu_plugin_id_t id, struct qemu_plugin_tb *tb);
typedef void qemu_executed(unsigned int cpu, void *data);
typedef void qemu_ended(qemu_plugin_id_t id, void *data);
#define QEMU_PLUGIN_CB_NO_REGS 0

void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id, qemu_tb_translated *call);
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *tb, qemu_executed *call, int flags, void *data);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn, qemu_executed *call, int flags, void *data);
void qemu_plugin_register_atexit_cb(qemu_plugin_id_t id, qemu_ended *call, void *data);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t index);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);

#define LAM_EXPORT __attribute__((visibility("default")))
extern LAM_EXPORT int qemu_plugin_version;
LAM_EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc, char **argv);

int qemu_plugin_version = LAM_PLUGIN_VERSION;

/* --- counting --- */

typedef struct {
    char role;
    uint64_t start, bytes, count;
} lam_function;

/* Instructions that are executed together, from an address on. */
typedef struct {
    uint64_t address, instructions;
    lam_function *function; /* NULL: in none */
} lam_chunk;

static lam_function *functions;
static size_t n_functions;
static FILE *out;
static int by_instruction;

/* More calls than this are not those of layers. */
#define MAX_SEGMENTS 4096

static int counting;     /* between entry and return */
static int in_callee;    /* the last chunk was not of the counted function itself */
static uint64_t total;   /* of this call of the counted function */
static uint64_t current; /* of the segment that has begun */
static uint64_t segments[MAX_SEGMENTS];
static size_t n_segments; /* that have ended, kept or not */

static void end_segment(void)
{
    if (n_segments < MAX_SEGMENTS) {
        segments[n_segments] = current;
    }
    n_segments++;
    current = 0;
}

static void end_call(void)
{
    if (in_callee || n_segments == 0) {
        end_segment();
    } else if (n_segments <= MAX_SEGMENTS) {
        segments[n_segments - 1] += current;
    }
    fprintf(out, "call %" PRIu64, total);
    for (size_t i = 0; i < n_segments && n_segments <= MAX_SEGMENTS; i++) {
        fprintf(out, " %" PRIu64, segments[i]);
    }
    fprintf(out, "\n");
    counting = 0;
}

static void executed(unsigned int cpu, void *data)
{
    const lam_chunk *chunk = data;
    lam_function *function = chunk->function;
    char role = function != NULL ? function->role : 'f';
    (void)cpu;
    if (!counting) {
        if (role != 'e' || chunk->address != function->start) {
            return;
        }
        counting = 1;
        in_callee = 0;
        total = 0;
        current = 0;
        n_segments = 0;
    } else if (role == 's') {
        end_call();
        return;
    }
    if (role == 'e' || role == 'o') {
        if (in_callee) {
            end_segment();
        }
        in_callee = 0;
    } else {
        in_callee = 1;
    }
    total += chunk->instructions;
    current += chunk->instructions;
    if (function != NULL) {
        function->count += chunk->instructions;
    }
}

/* Chunks live as long as QEMU may execute them: to the end. */
static lam_chunk *new_chunk(uint64_t address, size_t instructions)
{
    lam_chunk *chunk = malloc(sizeof *chunk);
    if (chunk == NULL) {
        abort();
    }
    *chunk = (lam_chunk){address, instructions, NULL};
    for (size_t i = 0; i < n_functions; i++) {
        if (address - functions[i].start < functions[i].bytes) {
            chunk->function = &functions[i];
        }
    }
    return chunk;
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
    size_t n = qemu_plugin_tb_n_insns(tb);
    (void)id;
    if (!by_instruction) {
        uint64_t address = qemu_plugin_insn_vaddr(qemu_plugin_tb_get_insn(tb, 0));
        qemu_plugin_register_vcpu_tb_exec_cb(tb, executed, QEMU_PLUGIN_CB_NO_REGS, new_chunk(address, n));
        return;
    }
    for (size_t i = 0; i < n; i++) {
        struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
        lam_chunk *chunk = new_chunk(qemu_plugin_insn_vaddr(insn), 1);
        qemu_plugin_register_vcpu_insn_exec_cb(insn, executed, QEMU_PLUGIN_CB_NO_REGS, chunk);
    }
}

static void ended(qemu_plugin_id_t id, void *data)
{
    (void)id;
    (void)data;
    for (size_t i = 0; i < n_functions; i++) {
        if (functions[i].count != 0) {
            fprintf(out, "function %zu %" PRIu64 "\n", i, functions[i].count);
        }
    }
    fclose(out);
}

static int read_map(const char *name)
{
    FILE *map = fopen(name, "r");
    if (map == NULL) {
        return 1;
    }
    lam_function f = {0};
    while (fscanf(map, " %c %" SCNx64 " %" SCNx64, &f.role, &f.start, &f.bytes) == 3) {
        lam_function *more = realloc(functions, (n_functions + 1) * sizeof *functions);
        if (more == NULL) {
            abort();
        }
        functions = more;
        functions[n_functions++] = f;
    }
    return fclose(map);
}

int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc, char **argv)
{
    (void)info;
    for (int i = 0; i < argc; i++) {
        if (strncmp(argv[i], "map=", 4) == 0) {
            if (read_map(argv[i] + 4) != 0) {
                return 1;
            }
        } else if (strncmp(argv[i], "out=", 4) == 0) {
            out = fopen(argv[i] + 4, "w");
        } else if (strcmp(argv[i], "by=instruction") == 0) {
            by_instruction = 1;
        } else {
            return 1;
        }
    }
    if (out == NULL || functions == NULL) {
        return 1;
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_atexit_cb(id, ended, NULL);
    return 0;
}
