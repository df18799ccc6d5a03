/* Keys in files, and what may be reached without them. That keys keep others out is shown end to
 * end, in tests/e2e/test_security.py. */
#include "proto/keys.h"
#include "services/runtime/security.h"
#include "services/runtime/sockets.h"
#include "services/tables.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>

#include <cmocka.h>

struct place {
    char dir[64], path[128];
    struct leat_settings *settings;
};

static int place_setup(void **state)
{
    struct place *self = calloc(1, sizeof *self);
    strcpy(self->dir, "/tmp/leat-keys-XXXXXX");
    assert_non_null(mkdtemp(self->dir));
    snprintf(self->path, sizeof self->path, "%s/a.key", self->dir);
    self->settings = leat_settings_new(leat_tables);
    *state = self;
    return 0;
}

static int place_teardown(void **state)
{
    struct place *self = *state;
    leat_settings_destroy(&self->settings);
    unlink(self->path);
    rmdir(self->dir);
    free(self);
    return 0;
}

static void place_write(const struct place *self, const char *text, mode_t mode)
{
    FILE *file = fopen(self->path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    chmod(self->path, mode);
}

static void place_refuses(const struct place *self, const char *text, mode_t mode, const char *why)
{
    struct leat_key_pair pair;
    struct leat_error err = {""};
    place_write(self, text, mode);
    assert_false(leat_key_pair_read(self->path, &pair, &err));
    if (!strstr(err.text, why))
        fail_msg("expected \"%s\" in \"%s\"", why, err.text);
}

static void a_pair_is_read_as_it_was_written(void **state)
{
    const struct place *self = *state;
    struct leat_key_pair made, got;
    struct leat_error err = {""};
    char text[512], public_key[LEAT_KEY_TEXT];
    zmq_curve_keypair(made.public_key, made.secret_key);
    snprintf(text, sizeof text, "# x\ncurve\n\tpublic-key= \"%s\"\n    secret-key =\"%s\"\n",
             made.public_key, made.secret_key);
    place_write(self, text, 0600);
    assert_true(leat_key_pair_read(self->path, &got, &err));
    assert_string_equal(made.public_key, got.public_key);
    assert_string_equal(made.secret_key, got.secret_key);
    assert_true(leat_key_read(self->path, public_key, &err));
    assert_string_equal(made.public_key, public_key);
    place_refuses(self, text, 0604, "chmod 600");
}

static void what_is_no_key_is_refused(void **state)
{
    const struct place *self = *state;
    struct leat_key_pair one, two;
    char text[512];
    zmq_curve_keypair(one.public_key, one.secret_key);
    zmq_curve_keypair(two.public_key, two.secret_key);
    place_refuses(self, "", 0600, "holds no key pair");
    place_refuses(self, "public-key = \"abc\"\nsecret-key = \"abc\"\n", 0600, "holds no key pair");
    snprintf(text, sizeof text, "public-key = \"%s\"\n", one.public_key);
    place_refuses(self, text, 0600, "holds no key pair");
    snprintf(text, sizeof text, "public-key = \"%s\"\nsecret-key = \"%s\"\n", one.public_key,
             two.secret_key);
    place_refuses(self, text, 0600, "does not belong");
    /* A space is no character of Z85. */
    snprintf(text, sizeof text, "public-key = \"%s\"\nsecret-key = \"%40s\"\n", one.public_key, "");
    place_refuses(self, text, 0600, "holds no key pair");
    unlink(self->path);
    struct leat_error err;
    assert_false(leat_key_pair_read(self->path, &one, &err));
    assert_non_null(strstr(err.text, "No such file"));
}

static void only_this_machine_is_reached_without_keys(void **state)
{
    static const char *const here[] = {"tcp://127.0.0.1:5550",
                                       "tcp://127.8.9.1:1",
                                       "tcp://localhost:5550",
                                       "tcp://[::1]:5550",
                                       "tcp://[::ffff:127.0.0.1]:1",
                                       "ipc:///tmp/x",
                                       "inproc://cache",
                                       "tcp://lo:5550"};
    static const char *const there[] = {"tcp://*:5550",
                                        "tcp://0.0.0.0:5550",
                                        "tcp://10.0.0.7:5550",
                                        "tcp://[::]:5550",
                                        "tcp://eth0:5550",
                                        "tcp://cache:5560",
                                        "tcp://[fe80::1]:1",
                                        "tcp://[::ffff:10.0.0.1]:1",
                                        "tcp://128.0.0.1:1",
                                        "tcp://127.0.0.1.example:1",
                                        "tcp://:1"};
    const struct place *self = *state;
    struct leat_error err = {""};
    struct leat_security *security = leat_security_open(self->settings, "services", &err);
    assert_non_null(security);
    for (size_t i = 0; i < sizeof here / sizeof *here; i++) {
        assert_true(leat_security_may_bind(security, here[i], "x.inbox", &err));
        assert_true(leat_security_may_connect(security, here[i], "x.address", &err));
    }
    for (size_t i = 0; i < sizeof there / sizeof *there; i++) {
        assert_false(leat_security_may_bind(security, there[i], "x.inbox", &err));
        assert_non_null(strstr(err.text, "leat keys"));
        assert_false(leat_security_may_connect(security, there[i], "x.address", &err));
        assert_non_null(strstr(err.text, "security.insecure"));
    }
    assert_null(leat_socket_inbox(leat_security_zmq(security), security, "tcp://*:15641", "x.inbox",
                                  1000, &err));
    leat_security_close(&security);

    assert_true(
        leat_settings_assign(self->settings, "security.insecure=yes", LEAT_FROM_PROGRAM, &err));
    security = leat_security_open(self->settings, "services", &err);
    for (size_t i = 0; i < sizeof there / sizeof *there; i++)
        assert_true(leat_security_may_bind(security, there[i], "x.inbox", &err) &&
                    leat_security_may_connect(security, there[i], "x.address", &err));
    leat_security_close(&security);
}

static void missing_keys_are_told(void **state)
{
    const struct place *self = *state;
    struct leat_error err = {""};
    char assignment[128];
    snprintf(assignment, sizeof assignment, "security.keys=%s", self->dir);
    assert_true(leat_settings_assign(self->settings, assignment, LEAT_FROM_PROGRAM, &err));
    assert_null(leat_security_open(self->settings, "services", &err));
    assert_non_null(strstr(err.text, "setting security.keys: cannot read the key"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_pair_is_read_as_it_was_written, place_setup,
                                        place_teardown),
        cmocka_unit_test_setup_teardown(what_is_no_key_is_refused, place_setup, place_teardown),
        cmocka_unit_test_setup_teardown(only_this_machine_is_reached_without_keys, place_setup,
                                        place_teardown),
        cmocka_unit_test_setup_teardown(missing_keys_are_told, place_setup, place_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
