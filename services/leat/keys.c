/* leat keys: makes the keys by which services and clients prove who they are. */
#include "proto/keys.h"
#include "services/leat/commands.h"
#include "services/leat/options.h"
#include "services/runtime/service.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>

enum { PATH = 4096, NAME_MAX_BYTES = 64 };

static const char default_dir[] = "./leat-keys";

static const struct manual_option keys_options[] = {
    {"--dir", "DIR",
     "The deployment's folder of keys. Default: the environment variable LEAT_SECURITY_KEYS, else "
     "./leat-keys."},
    {"--out", "FOLDER",
     "client: the folder to hand to that client; it is made, and has no other client's key yet. "
     "Default: DIR/handout/NAME."},
    {"--force", NULL,
     "Make new keys where some are. Whoever has the old ones is shut out, services after their "
     "next start."},
    {"--keep", NULL, "Do nothing where keys are already: for scripts that run at every start."},
    {NULL, NULL, NULL},
};

static const struct manual_section keys_sections[] = {
    {"Files", "  DIR/server.key    what every address that Leat binds proves itself by\n"
              "  DIR/server.pub    its public part: whoever connects must have it\n"
              "  DIR/service.key   what services prove themselves by to each other\n"
              "  DIR/services/     public keys that may connect to stages\n"
              "  DIR/clients/      public keys that may connect to ingest\n"
              "  DIR/client.key    a first client, so that 'leat send --keys DIR' works\n"
              "\n"
              "Files that end in .key are secret: mode 600. The format is czmq's and pyzmq's "
              "(zmq.auth.load_certificate)."},
    {"Use",
     "Every service gets the setting security.keys = DIR (LEAT_SECURITY_KEYS). A machine that runs "
     "only services needs server.key, server.pub, service.key, services/ and clients/.\n"
     "\n"
     "'leat keys client NAME' makes a further client's key: its folder has all that 'leat send "
     "--keys' and the client library need, and DIR/clients/NAME.pub lets it in, at once. 'leat "
     "keys remove NAME' takes that file away (and DIR/handout/NAME): the client's next connection "
     "is refused, one that stands stays until it ends or ingest does."},
    {"Exit status", "  0  the keys are there\n"
                    "  1  there were keys already, or none to remove, or a file could not be\n"
                    "     written\n"
                    "  2  the command line is wrong"},
    {"Examples", "  leat keys --dir /etc/leat/keys\n"
                 "  leat keys client hub --dir /etc/leat/keys --out hub-keys\n"
                 "  leat keys remove hub --dir /etc/leat/keys\n"
                 "  leat run --listen tcp://*:5550 --set security.keys=/etc/leat/keys\n"
                 "  leat send --keys hub-keys --to tcp://leat:5550 posts.ndjson"},
    {NULL, NULL},
};

const struct manual keys_manual = {
    .name = "keys",
    .summary = "make the keys of services and clients",
    .synopsis = "[--dir DIR] [--force | --keep]\n"
                "client NAME [--dir DIR] [--out FOLDER] [--force | --keep]\n"
                "remove NAME [--dir DIR]",
    .description =
        "With keys everything that goes between processes is encrypted (CURVE), and both sides of "
        "a connection prove who they are. Without them Leat talks to this machine only, unless "
        "the setting security.insecure says otherwise. PostgreSQL and Redis are not part of it: "
        "encrypt those connections by store.url and a tunnel.",
    .options = keys_options,
    .sections = keys_sections,
};

static bool make_folder(const char *path, mode_t mode, struct leat_error *err)
{
    return mkdir(path, mode) == 0 || errno == EEXIST ||
           leat_fail(err, "cannot make the folder %s: %s", path, strerror(errno));
}

/* All or nothing: who reads it meanwhile (the services do) finds the old file or the new one. */
static bool write_file(const char *path, const char *text, mode_t mode, struct leat_error *err)
{
    char part[PATH + 8];
    snprintf(part, sizeof part, "%s~", path);
    unlink(part);
    int fd = open(part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    size_t size = strlen(text);
    bool ok = fd >= 0 && fchmod(fd, mode) == 0 && write(fd, text, size) == (ssize_t)size &&
              fsync(fd) == 0;
    if (fd >= 0)
        ok = close(fd) == 0 && ok;
    if (ok && rename(part, path) == 0)
        return true;
    leat_fail(err, "cannot write %s: %s", path, strerror(errno));
    unlink(part);
    return false;
}

static bool write_public(const char *path, const char *name, const char *key,
                         struct leat_error *err)
{
    char text[512];
    snprintf(text, sizeof text,
             "# Public key of Leat (CURVE)\nmetadata\n    name = \"%s\"\ncurve\n"
             "    public-key = \"%s\"\n",
             name, key);
    return write_file(path, text, 0644, err);
}

static bool write_secret(const char *path, const char *name, const struct leat_key_pair *pair,
                         struct leat_error *err)
{
    char text[512];
    snprintf(
        text, sizeof text,
        "# Secret key of Leat (CURVE): for its owner only\nmetadata\n    name = \"%s\"\ncurve\n"
        "    public-key = \"%s\"\n    secret-key = \"%s\"\n",
        name, pair->public_key, pair->secret_key);
    return write_file(path, text, 0600, err);
}

static bool make_pair(struct leat_key_pair *out, struct leat_error *err)
{
    return zmq_curve_keypair(out->public_key, out->secret_key) == 0 ||
           leat_fail(err, "this libzmq knows no CURVE");
}

/* "DIR/FOLDER/NAME.ENDING" */
static const char *path_of(char path[PATH], const char *dir, const char *name)
{
    snprintf(path, PATH, "%s/%s", dir, name);
    return path;
}

/* A pair, its public part beside it, and again where it lets its owner in. */
static bool make_role(const char *dir, const char *name, const char *admitted,
                      struct leat_error *err)
{
    char path[PATH], file[PATH / 2];
    struct leat_key_pair pair;
    snprintf(file, sizeof file, "%s.key", name);
    if (!make_pair(&pair, err) || !write_secret(path_of(path, dir, file), name, &pair, err))
        return false;
    snprintf(file, sizeof file, "%s.pub", name);
    if (!write_public(path_of(path, dir, file), name, pair.public_key, err))
        return false;
    if (!admitted)
        return true;
    snprintf(file, sizeof file, "%s/%s.pub", admitted, name);
    return write_public(path_of(path, dir, file), name, pair.public_key, err);
}

static bool make_deployment(const char *dir, struct leat_error *err)
{
    char path[PATH];
    if (!make_folder(dir, 0700, err) || !make_folder(path_of(path, dir, "services"), 0700, err) ||
        !make_folder(path_of(path, dir, "clients"), 0700, err))
        return false;
    /* The server's last: where its public part is, all are. */
    return make_role(dir, "client", "clients", err) && make_role(dir, "service", "services", err) &&
           make_role(dir, "server", NULL, err);
}

static bool make_client(const char *dir, const char *name, const char *out, struct leat_error *err)
{
    char path[PATH], file[PATH / 2], server[LEAT_KEY_TEXT];
    struct leat_key_pair pair;
    if (!leat_key_read(path_of(path, dir, "server.pub"), server, err))
        return leat_fail_in(err, "'leat keys' makes the deployment's own keys first");
    if ((!out && !make_folder(path_of(path, dir, "handout"), 0700, err)))
        return false;
    if (!out) {
        snprintf(file, sizeof file, "%s/handout/%s", dir, name);
        out = file;
    }
    if (!make_folder(out, 0700, err) || !make_pair(&pair, err) ||
        !write_public(path_of(path, out, "server.pub"), "server", server, err) ||
        !write_secret(path_of(path, out, "client.key"), name, &pair, err))
        return false;
    printf("%s\n", out);
    snprintf(path, sizeof path, "%s/clients/%s.pub", dir, name);
    return write_public(path, name, pair.public_key, err);
}

/* What a client is let in by goes first: the rest is only tidiness. */
static bool remove_client(const char *dir, const char *name, struct leat_error *err)
{
    static const char *const handed_out[] = {"/client.key", "/server.pub", ""};
    char path[PATH];
    snprintf(path, sizeof path, "%s/clients/%s.pub", dir, name);
    if (unlink(path) != 0)
        return leat_fail(err, "cannot remove %s: %s", path, strerror(errno));
    for (size_t i = 0; i < sizeof handed_out / sizeof *handed_out; i++) {
        snprintf(path, sizeof path, "%s/handout/%s%s", dir, name, handed_out[i]);
        if (remove(path) != 0 && errno != ENOENT && errno != ENOTEMPTY)
            return leat_fail(err, "cannot remove %s: %s", path, strerror(errno));
    }
    return true;
}

/* What must not be there yet. */
static bool is_there(const char *dir, const char *client, char path[PATH])
{
    if (client)
        snprintf(path, PATH, "%s/clients/%s.pub", dir, client);
    else
        path_of(path, dir, "server.pub"); /* the last one that is written */
    return access(path, F_OK) == 0;
}

static bool name_ok(const char *name)
{
    size_t size = strlen(name);
    return size > 0 && size <= NAME_MAX_BYTES && name[0] != '.' &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") ==
               size;
}

static bool is_same_folder(const char *a, const char *b)
{
    struct stat one, other;
    return stat(a, &one) == 0 && stat(b, &other) == 0 && one.st_dev == other.st_dev &&
           one.st_ino == other.st_ino;
}

/* A secret key that is written over is lost for ever, and whoever it belongs to is shut out. */
static bool may_hand_out(const char *dir, const char *out, bool force, struct leat_error *err)
{
    static const char *const own[] = {".", "clients", "services"};
    char path[PATH];
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        if (is_same_folder(path_of(path, dir, own[i]), out))
            return leat_fail(err, "%s holds the deployment's own keys: --out takes another folder",
                             out);
    path_of(path, out, "client.key");
    return force || access(path, F_OK) != 0 ||
           leat_fail(err,
                     "%s is there already and may be another client's: --out takes another folder, "
                     "--force makes a new key in its place",
                     path);
}

static bool make_client_at(const struct options *options, const char *dir, const char *name,
                           struct leat_error *err)
{
    const char *out = options_value(options, "--out");
    return (!out || may_hand_out(dir, out, options_has(options, "--force"), err)) &&
           make_client(dir, name, out, err);
}

static int make(const struct options *options, const char *dir, const char *client)
{
    struct leat_error err;
    char path[PATH];
    if (!options_has(options, "--force") && is_there(dir, client, path)) {
        if (options_has(options, "--keep"))
            return LEAT_EXIT_OK;
        render_complain("leat keys",
                        "%s is there already; --force makes new keys and shuts the old ones out, "
                        "--keep leaves them",
                        path);
        return LEAT_EXIT_FAILED;
    }
    bool made = client ? make_client_at(options, dir, client, &err) : make_deployment(dir, &err);
    if (!made) {
        render_complain("leat keys", "%s", err.text);
        return LEAT_EXIT_FAILED;
    }
    if (!client)
        printf("keys are in %s: set security.keys = %s for every service, and leat send --keys "
               "%s\n",
               dir, dir, dir);
    return LEAT_EXIT_OK;
}

static int run(const struct options *options)
{
    struct leat_error err;
    const char *dir = options_value(options, "--dir"), *setting = getenv("LEAT_SECURITY_KEYS");
    const char *client = options->n_operands ? options->operands[1] : NULL;
    if (!dir)
        dir = setting && setting[0] ? setting : default_dir;
    if (strlen(dir) > PATH / 4) {
        render_complain("leat keys", "the folder's name is too long");
        return LEAT_EXIT_USAGE;
    }
    if (!client || strcmp(options->operands[0], "client") == 0)
        return make(options, dir, client);
    if (remove_client(dir, client, &err))
        return LEAT_EXIT_OK;
    render_complain("leat keys", "%s", err.text);
    return LEAT_EXIT_FAILED;
}

/* NULL: the command line is fine. */
static const char *wrong(const struct options *options)
{
    bool some = options->n_operands > 0;
    bool client = some && strcmp(options->operands[0], "client") == 0;
    bool removes = some && strcmp(options->operands[0], "remove") == 0;
    if (some && !client && !removes)
        return "it makes the keys of services, or of a 'client NAME', or removes one; see 'leat "
               "help keys'";
    if (some && options->n_operands != 2)
        return client ? "name the client: leat keys client NAME"
                      : "name the client: leat keys remove NAME";
    if (some && !name_ok(options->operands[1]))
        return "a client's name here is 1 to 64 letters, digits, dots, dashes and underscores";
    if (removes && (options_has(options, "--force") || options_has(options, "--keep")))
        return "--force and --keep are for making keys";
    if (!client && options_has(options, "--out"))
        return "--out is for 'leat keys client NAME'";
    if (options_has(options, "--force") && options_has(options, "--keep"))
        return "--force and --keep exclude each other";
    return NULL;
}

int command_keys(int argc, char **argv)
{
    struct leat_error err;
    struct options options;
    if (!options_parse(&options, &keys_manual, argc, argv, &err)) {
        render_complain("leat keys", "%s", err.text);
        return LEAT_EXIT_USAGE;
    }
    const char *reason = wrong(&options);
    int status = LEAT_EXIT_USAGE;
    if (reason)
        render_complain("leat keys", "%s", reason);
    else
        status = run(&options);
    options_end(&options);
    return status;
}
