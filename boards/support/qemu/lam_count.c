/* A QEMU plugin that counts the instructions of one function of the emulated program, callees included.
 *
 * Arguments: map=FILE  one line per function: role, first address, bytes (hexadecimal). Roles: e the function that is
 *                      counted, o further parts of it that the compiler split off, s a function at which control
 *                      arrives when it has returned, f any other.
 *            out=FILE  written: for each call one line "call TOTAL SEGMENT SEGMENT ..", without segments where
 *                      there are more than MAX_SEGMENTS; at the end for each function that was executed
 *                      "function INDEX COUNT", where INDEX is its line in the map.
 *            by=instruction  counts one by one, for a check; otherwise by translated block.
 *            blocks=first  also writes which blocks were executed during the first call: for each segment and block
 *                      "block SEGMENT ADDRESS INSTRUCTIONS TIMES LEFT", LEFT of these times not for the next address.
 *            trap=unaligned  ends the program at a load or store that is not aligned to its size, as a core would that
 *                      traps there, with the line "hard fault at ADDRESS". For emulated cores that let it pass.
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
#include <unistd.h>

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
typedef void qemu_accessed(unsigned int cpu, uint32_t info, uint64_t address, void *data);
#define QEMU_PLUGIN_CB_NO_REGS 0
#define QEMU_PLUGIN_MEM_RW 3

void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id, qemu_tb_translated *call);
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *tb, qemu_executed *call, int flags, void *data);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn, qemu_executed *call, int flags, void *data);
void qemu_plugin_register_atexit_cb(qemu_plugin_id_t id, qemu_ended *call, void *data);
void qemu_plugin_register_vcpu_mem_cb(struct qemu_plugin_insn *insn, qemu_accessed *call, int flags, int which, void *data);
unsigned int qemu_plugin_mem_size_shift(uint32_t info);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t index);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn);

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
typedef struct lam_chunk {
    uint64_t address, instructions, end;
    lam_function *function; /* NULL: in none */
    uint64_t times, left;   /* in this segment: executed, and then control went elsewhere than to `end` */
    struct lam_chunk *next; /* of all that were executed in this segment */
} lam_chunk;

static lam_function *functions;
static size_t n_functions;
static FILE *out;
static int by_instruction;
static int trap_unaligned;
static int list_blocks; /* of the call that runs now */

/* More calls than this are not those of layers. */
#define MAX_SEGMENTS 4096

static int counting;     /* between entry and return */
static int in_callee;    /* the last chunk was not of the counted function itself */
static uint64_t total;   /* of this call of the counted function */
static uint64_t current; /* of the segment that has begun */
static uint64_t segments[MAX_SEGMENTS];
static size_t n_segments; /* that have ended, kept or not */

static lam_chunk *met;      /* chunks of this segment, while they are listed */
static lam_chunk *previous; /* that was executed last */

static void list_chunk(lam_chunk *chunk)
{
    if (previous != NULL && previous->end != chunk->address) {
        previous->left++;
    }
    previous = chunk;
    if (chunk->times++ == 0) {
        chunk->next = met;
        met = chunk;
    }
}

static void end_segment(void)
{
    for (; met != NULL; met = met->next) {
        fprintf(out, "block %zu %" PRIx64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", n_segments, met->address,
                met->instructions, met->times, met->left);
        met->times = 0;
        met->left = 0;
    }
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
    } else {
        uint64_t rest = current;
        n_segments--; /* the rest belongs to the segment before it */
        current = n_segments < MAX_SEGMENTS ? segments[n_segments] + rest : rest;
        end_segment();
    }
    fprintf(out, "call %" PRIu64, total);
    for (size_t i = 0; i < n_segments && n_segments <= MAX_SEGMENTS; i++) {
        fprintf(out, " %" PRIu64, segments[i]);
    }
    fprintf(out, "\n");
    counting = 0;
    list_blocks = 0;
}

static void executed(unsigned int cpu, void *data)
{
    lam_chunk *chunk = data;
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
    if (list_blocks) {
        list_chunk(chunk);
    }
    total += chunk->instructions;
    current += chunk->instructions;
    if (function != NULL) {
        function->count += chunk->instructions;
    }
}

/* Chunks live as long as QEMU may execute them: to the end. */
static lam_chunk *new_chunk(uint64_t address, uint64_t end, size_t instructions)
{
    lam_chunk *chunk = malloc(sizeof *chunk);
    if (chunk == NULL) {
        abort();
    }
    *chunk = (lam_chunk){.address = address, .instructions = instructions, .end = end};
    for (size_t i = 0; i < n_functions; i++) {
        if (address - functions[i].start < functions[i].bytes) {
            chunk->function = &functions[i];
        }
    }
    return chunk;
}

/* As boards/support/semihosting/port.c would. Without cleaning up: the emulator's thread is in the middle of something. */
#define EXIT_CODE_FAULT 99

static void accessed(unsigned int cpu, uint32_t info, uint64_t address, void *pc)
{
    (void)cpu;
    if ((address & ((UINT64_C(1) << qemu_plugin_mem_size_shift(info)) - 1u)) != 0) {
        printf("hard fault at 0x%08" PRIx64 "\n", (uint64_t)(uintptr_t)pc);
        fflush(NULL);
        _exit(EXIT_CODE_FAULT);
    }
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
    size_t n = qemu_plugin_tb_n_insns(tb);
    (void)id;
    for (size_t i = 0; trap_unaligned && i < n; i++) {
        struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
        void *pc = (void *)(uintptr_t)qemu_plugin_insn_vaddr(insn);
        qemu_plugin_register_vcpu_mem_cb(insn, accessed, QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_MEM_RW, pc);
    }
    if (!by_instruction) {
        uint64_t address = qemu_plugin_insn_vaddr(qemu_plugin_tb_get_insn(tb, 0));
        struct qemu_plugin_insn *last = qemu_plugin_tb_get_insn(tb, n - 1);
        uint64_t end = qemu_plugin_insn_vaddr(last) + qemu_plugin_insn_size(last);
        qemu_plugin_register_vcpu_tb_exec_cb(tb, executed, QEMU_PLUGIN_CB_NO_REGS, new_chunk(address, end, n));
        return;
    }
    for (size_t i = 0; i < n; i++) {
        struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
        uint64_t address = qemu_plugin_insn_vaddr(insn);
        lam_chunk *chunk = new_chunk(address, address + qemu_plugin_insn_size(insn), 1);
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
        } else if (strcmp(argv[i], "trap=unaligned") == 0) {
            trap_unaligned = 1;
        } else if (strcmp(argv[i], "blocks=first") == 0) {
            list_blocks = 1;
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
