#include "services/classify/provider/provider_options.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static bool copy(const struct leat_settings *settings, const char *setting, char *to, size_t room,
                 struct leat_error *err)
{
    const char *value = leat_settings_str(settings, setting);
    return snprintf(to, room, "%s", value) < (int)room ||
           leat_fail(err, "setting %s: at most %zu bytes", setting, room - 1);
}

/* The file's first line. */
static bool read_key(const char *path, char key[PROVIDER_KEY_BYTES + 1], struct leat_error *err)
{
    char line[PROVIDER_KEY_BYTES + 3];
    FILE *file = fopen(path, "rbe");
    bool good = file && fgets(line, sizeof line, file);
    int why = file && ferror(file) ? errno : file ? 0 : errno;
    if (file)
        fclose(file);
    if (!good)
        return leat_fail(err, "setting embeddings.key_file: %s: %s", path,
                         why ? strerror(why) : "it is empty");
    line[strcspn(line, "\r\n")] = '\0';
    size_t size = strlen(line);
    if (size > 0 && size <= PROVIDER_KEY_BYTES)
        memcpy(key, line, size + 1);
    explicit_bzero(line, sizeof line);
    return (size > 0 && size <= PROVIDER_KEY_BYTES) ||
           leat_fail(err, "setting embeddings.key_file: %s: expected a line of 1 to %d bytes", path,
                     PROVIDER_KEY_BYTES);
}

bool provider_options_read(const struct leat_settings *settings, struct provider_options *out,
                           struct leat_error *err)
{
    const char *key_file = leat_settings_str(settings, "embeddings.key_file");
    *out = (struct provider_options){
        .dimensions = (size_t)leat_settings_int(settings, "embeddings.dimensions"),
        .most_texts = (size_t)leat_settings_int(settings, "embeddings.request_texts"),
        .most_bytes = (size_t)leat_settings_int(settings, "embeddings.request_bytes"),
        .text_bytes = (size_t)leat_settings_int(settings, "embeddings.text_bytes"),
        .timeout_ms = leat_settings_int(settings, "embeddings.timeout"),
        .give_up_ms = leat_settings_int(settings, "embeddings.give_up"),
    };
    if (!copy(settings, "embeddings.url", out->url, sizeof out->url, err) ||
        !copy(settings, "embeddings.model", out->model, sizeof out->model, err) ||
        !copy(settings, "embeddings.key", out->key, sizeof out->key, err) ||
        !copy(settings, "embeddings.encoding", out->encoding, sizeof out->encoding, err))
        return false;
    if (!*out->model)
        return leat_fail(err,
                         "setting embeddings.model: it has to name one of the provider's models");
    if (*out->key && *key_file)
        return leat_fail(err, "settings embeddings.key and embeddings.key_file: only one of them");
    return !*key_file || read_key(key_file, out->key, err);
}
