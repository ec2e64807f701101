/*
 * A PKCS #11 module that stands before a real one and fails as it is told.
 *
 * FAULTY_MODULE  the real module
 * FAULTY_MODE    a file of words, read at each call, so that they can change
 * FAULTY_LOG     a file that each call worth counting is written to
 *
 * Declares itself what it needs of the API, which is binary-stable: a version
 * and 68 functions in the order of the specification (v2.40, section 4.2).
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef unsigned long ulong;
typedef ulong (*any)(void);
struct list {
    unsigned char version[2];
    any call[68];
};

enum { INITIALIZE = 0, GET_FUNCTION_LIST = 3, GET_TOKEN_INFO = 6, OPEN_SESSION = 12,
       CLOSE_SESSION = 13, LOGIN = 18, FIND_OBJECTS_INIT = 26, SIGN_INIT = 42, SIGN = 43,
       GENERATE_KEY_PAIR = 59 };
enum { OK = 0, GENERAL_ERROR = 5, CANT_LOCK = 0x0a, DEVICE_ERROR = 0x30,
       MECHANISM_INVALID = 0x70, PIN_LOCKED = 0xa4, SESSION_COUNT = 0xb1,
       SESSION_HANDLE_INVALID = 0xb3, TOKEN_NOT_PRESENT = 0xe0 };

static struct list real, ours;
static atomic_int sessions, running, losses;

static int mode(const char *word) {
    char text[256] = {0};
    int file = open(getenv("FAULTY_MODE"), O_RDONLY);
    if (file < 0) return 0;
    if (read(file, text, sizeof text - 1) < 0) text[0] = 0;
    close(file);
    for (char *next, *at = strtok_r(text, " \n", &next); at; at = strtok_r(NULL, " \n", &next))
        if (!strcmp(at, word)) return 1;
    return 0;
}

static void note(const char *what) {
    int file = open(getenv("FAULTY_LOG"), O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (file < 0) return;
    dprintf(file, "%s\n", what);
    close(file);
}

/* Past the handler that Rust has for its stack, which returns from a raise. */
static void crash(int number) {
    signal(number, SIG_DFL);
    raise(number);
}

static ulong initialize(void *arguments) {
    note("initialize");
    if (mode("start-hangs")) for (;;) pause();
    if (mode("start-fails")) return GENERAL_ERROR;
    if (mode("start-crashes")) crash(SIGSEGV);
    /* struct of four function pointers, flags, reserved; 2 is CKF_OS_LOCKING_OK */
    if (mode("cant-lock") && arguments && ((ulong *)arguments)[4] & 2) return CANT_LOCK;
    return ((ulong (*)(void *))real.call[INITIALIZE])(arguments);
}

static ulong token_info(ulong slot, unsigned char *info) {
    ulong value = ((ulong (*)(ulong, unsigned char *))real.call[GET_TOKEN_INFO])(slot, info);
    ulong flags;
    memcpy(&flags, info + 96, sizeof flags);
    if (mode("count-low")) flags |= 0x10000;
    if (mode("final-try")) flags |= 0x20000;
    if (mode("locked")) flags |= 0x40000;
    memcpy(info + 96, &flags, sizeof flags);
    return value;
}

static ulong open_session(ulong slot, ulong flags, void *a, void *b, ulong *session) {
    if (mode("one-session") && sessions >= 1) return SESSION_COUNT;
    ulong value = ((ulong (*)(ulong, ulong, void *, void *, ulong *))real.call[OPEN_SESSION])(
        slot, flags, a, b, session);
    if (value == OK) sessions++;
    return value;
}

static ulong close_session(ulong session) {
    sessions--;
    return ((ulong (*)(ulong))real.call[CLOSE_SESSION])(session);
}

static ulong login(ulong session, ulong user, char *pin, ulong length) {
    note("login");
    /* As careless as vendors are. */
    printf("logging in with %.*s\n", (int)length, pin);
    fprintf(stderr, "logging in with %.*s\n", (int)length, pin);
    fflush(stdout);
    if (mode("login-locks")) return PIN_LOCKED;
    if (mode("login-fails")) return GENERAL_ERROR;
    if (mode("login-absent")) return TOKEN_NOT_PRESENT;
    return ((ulong (*)(ulong, ulong, char *, ulong))real.call[LOGIN])(session, user, pin, length);
}

static ulong find_init(ulong session, void *template, ulong count) {
    if (mode("find-crashes")) crash(SIGBUS);
    return ((ulong (*)(ulong, void *, ulong))real.call[FIND_OBJECTS_INIT])(session, template, count);
}

static ulong sign_init(ulong session, ulong *mechanism, ulong key) {
    if (mode("no-digests") && (*mechanism == 0x1041 || *mechanism == 1)) return MECHANISM_INVALID;
    if (mode("no-signing")) return MECHANISM_INVALID;
    return ((ulong (*)(ulong, ulong *, ulong))real.call[SIGN_INIT])(session, mechanism, key);
}

static ulong sign(ulong session, void *data, ulong length, unsigned char *signature, ulong *room) {
    ulong (*to)(ulong, void *, ulong, unsigned char *, ulong *) = (void *)real.call[SIGN];
    if (!signature) {
        ulong value = to(session, data, length, signature, room);
        if (mode("enormous")) *room = 1ul << 60;
        return value;
    }
    note("sign");
    if (mode("segfault")) *(volatile int *)8 = 1;
    if (mode("abort")) abort();
    if (mode("exit")) _exit(3);
    if (mode("hang")) for (;;) pause();
    if (mode("garbage"))
        for (int file = 3; file < 10; file++)
            if (write(file, "\0\0\0\x10 not a frame of ours", 24) < 0) continue;
    if (mode("loses-once") && losses++ == 0) return SESSION_HANDLE_INVALID;
    if (mode("sleeps-once") && losses++ == 0) return DEVICE_ERROR;
    if (mode("loses")) return SESSION_HANDLE_INVALID;
    if (mode("slow")) {
        if (running++ > 0) note("overlap");
        usleep(50 * 1000);
        running--;
    }
    ulong value = to(session, data, length, signature, room);
    if (mode("flips")) signature[*room / 2] ^= 1;
    if (mode("shortens")) --*room;
    return value;
}

static ulong generate_pair(ulong session, void *mechanism, void *public, ulong public_count,
                           ulong *private, ulong private_count, ulong *a, ulong *b) {
    /* CK_ATTRIBUTE: type, value, length. The value may stand for others too. */
    static char yes = 1, no = 0;
    for (ulong i = 0; i < private_count; i++) {
        ulong *value = &private[3 * i + 1];
        if (mode("exposes") && private[3 * i] == 0x162) *value = (ulong)&yes; /* CKA_EXTRACTABLE */
        if (mode("exposes") && private[3 * i] == 0x103) *value = (ulong)&no; /* CKA_SENSITIVE */
        if (mode("forbids") && private[3 * i] == 0x108) *value = (ulong)&no; /* CKA_SIGN */
    }
    return ((ulong (*)(ulong, void *, void *, ulong, ulong *, ulong, ulong *, ulong *))
                real.call[GENERATE_KEY_PAIR])(session, mechanism, public, public_count, private,
                                              private_count, a, b);
}

ulong C_GetFunctionList(struct list **list) {
    void *module = dlopen(getenv("FAULTY_MODULE"), RTLD_NOW | RTLD_LOCAL);
    if (!module) return GENERAL_ERROR;
    struct list *theirs;
    ulong (*get)(struct list **) = (void *)dlsym(module, "C_GetFunctionList");
    if (!get || get(&theirs) != OK) return GENERAL_ERROR;
    real = *theirs;
    ours = real;
    ours.call[INITIALIZE] = (any)initialize;
    ours.call[GET_FUNCTION_LIST] = (any)C_GetFunctionList;
    ours.call[GET_TOKEN_INFO] = (any)token_info;
    ours.call[OPEN_SESSION] = (any)open_session;
    ours.call[CLOSE_SESSION] = (any)close_session;
    ours.call[LOGIN] = (any)login;
    ours.call[FIND_OBJECTS_INIT] = (any)find_init;
    ours.call[SIGN_INIT] = (any)sign_init;
    ours.call[SIGN] = (any)sign;
    ours.call[GENERATE_KEY_PAIR] = (any)generate_pair;
    *list = &ours;
    return OK;
}
